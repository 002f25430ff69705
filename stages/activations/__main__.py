"""Stage `activations@persona`: run the prompts of one persona; write activations and readout.

Params  activations, readout
"""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl

from stages.activations.config import ActivationsConfig
from stages.lib import forward, shards
from stages.lib.forward import answers as forward_answers
from stages.lib.forward import batches, memory
from stages.lib.io import cli, params, tables
from stages.lib.model import lm, readout
from stages.lib.model.readout import ReadoutConfig

SITES = ("z", "resid_post")


def main(
    prompts: Annotated[Path, "one persona's prompts (Parquet)"],
    model: cli.Model,
    out: Annotated[Path, "writes safetensors shards with an index"],
    readouts: Annotated[
        Path,
        "writes P(true) and P(false) of each prompt and, where these are small in sum, the "
        "most probable first token (Parquet)",
    ],
) -> None:
    """Write the activations and the readout of one persona."""
    positions = list(params.section("activations", ActivationsConfig).positions)
    words = params.section("readout", ReadoutConfig)
    table = tables.read(prompts, tables.PROMPTS)
    language_model = lm.load(model)
    answers = readout.answers_of(language_model, words)
    persona, token_ids = table["persona"][0], table["token_ids"].to_list()
    prefix = table["prefix_ids"][0].to_list()
    n_rows = shards.rows_per_shard(_row_bytes(language_model, len(positions)))
    provenance = {
        "model": language_model.identity,
        "dtype": language_model.dtype,
        "sites": SITES,
        "positions": positions,
        "n_layers": language_model.n_layers,
        "n_heads": language_model.n_heads,
        "statement_ids": table["statement_id"].to_list(),
    }
    key = memory.key(language_model, provenance | {"tokens": token_ids, "prefix": prefix}).hex()
    main_process = forward.is_main_process()
    with shards.writer(out, provenance, key) if main_process else nullcontext() as writer:
        start = batches.from_main_process(lambda: writer.n_rows if writer else 0)
        earlier_prompts = [token_ids[:start]] if start else []
        readout_parts = list(
            forward_answers.read(
                language_model,
                answers,
                earlier_prompts,
                f"{persona}: answers",
                [prefix],
                -min(positions),
            )
        )
        for arrays in forward.capture(
            language_model,
            answers,
            token_ids,
            positions,
            n_rows,
            f"{persona}: activations",
            prefix=prefix,
            start=start,
        ):
            readout_parts.append({name: arrays[name] for name in ("readout", "top")})
            if writer:
                writer.append({site: arrays[site] for site in SITES})
    if not main_process:
        return
    p, top = (np.concatenate([part[name] for part in readout_parts]) for name in ("readout", "top"))
    first_tokens = (
        None if readout.answers_hold_enough(p) else _texts(language_model, top.astype(int).tolist())
    )
    _write_readouts(readouts, table, p, first_tokens)
    for line in readout.warning_lines(persona, answers, p, first_tokens):
        print(line)


def _row_bytes(model: lm.LanguageModel, n_positions: int) -> int:
    """Return the bytes of one prompt's activations, both sites, in float32."""
    z = model.n_layers * model.n_heads * model.d_head
    return 4 * n_positions * (z + (model.n_layers + 1) * model.d_model)


def _texts(model: lm.LanguageModel, tokens: list[int]) -> list[str]:
    """Return the text of each token."""
    texts = {i: model.tokenizer.decode([i]) for i in set(tokens)}
    return [texts[i] for i in tokens]


def _write_readouts(
    file: Path, table: pl.DataFrame, probabilities: np.ndarray, first_tokens: list[str] | None
) -> None:
    """Write P(true), P(false), their sum and, if given, the first token; one row per statement."""
    rows = table.select("statement_id").with_columns(
        p_true=pl.Series(probabilities[:, 0]),
        p_false=pl.Series(probabilities[:, 1]),
        answer_mass=pl.Series(probabilities.sum(axis=1)),
    )
    schema = tables.READOUTS
    if first_tokens is not None:
        rows, schema = rows.with_columns(first_token=pl.Series(first_tokens)), tables.FIRST_TOKENS
    tables.write(file, rows, schema, key=["statement_id"])


if __name__ == "__main__":
    cli.run(main)
