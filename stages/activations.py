"""Stage `activations@persona`: run one persona's prompts; keep activations and the readout.

Reads   --prompts (Parquet), --model
Writes  --out (safetensors shards with an index), --readouts (Parquet)
Params  activations, readout
"""

from pathlib import Path

import numpy as np
import polars as pl

from stages.lib import cli, forward, lm, params, readout, shards, tables
from stages.lib.sections.activations import Config

SITES = ("z", "resid_post")


def main(prompts: Path, model: Path, out: Path, readouts: Path) -> None:
    """Write the activations and the readout of one persona."""
    positions = list(params.section("activations", Config).positions)
    words = params.section("readout", readout.Config)
    table = tables.read(prompts, tables.PROMPTS)
    language_model = lm.load(model)
    answers = readout.answers(language_model.tokenizer, words)
    chunks = forward.capture(
        language_model,
        answers,
        table["token_ids"].to_list(),
        positions,
        shards.rows_per_shard(_row_bytes(language_model, len(positions))),
        f"{table['persona'][0]}: activations",
    )
    if not forward.is_main_process():
        for _ in chunks:  # takes its share of each; the main process writes
            pass
        return
    provenance = {
        "model": language_model.identity,
        "dtype": language_model.dtype,
        "sites": SITES,
        "positions": positions,
        "n_layers": language_model.n_layers,
        "n_heads": language_model.n_heads,
        "statement_ids": table["statement_id"].to_list(),
    }
    probabilities = []
    with shards.writer(out, provenance) as writer:
        for arrays in chunks:
            writer.append({site: arrays[site] for site in SITES})
            probabilities.append(arrays["readout"])
    _write_readouts(readouts, table, np.concatenate(probabilities))


def _row_bytes(model: lm.LanguageModel, n_positions: int) -> int:
    """Bytes of one prompt's activations in float32, both sites."""
    z = model.n_layers * model.n_heads * model.d_head
    return 4 * n_positions * (z + (model.n_layers + 1) * model.d_model)


def _write_readouts(file: Path, table: pl.DataFrame, probabilities: np.ndarray) -> None:
    """Write P(true), P(false) and their sum, one row a statement."""
    rows = table.select("statement_id").with_columns(
        p_true=pl.Series(probabilities[:, 0]),
        p_false=pl.Series(probabilities[:, 1]),
        truth_mass=pl.Series(probabilities.sum(axis=1)),
    )
    tables.write(file, rows, tables.READOUTS, key=["statement_id"])


if __name__ == "__main__":
    cli.run(main)
