"""Stage `positions`: at which positions of the prompt z must be patched.

Params  patch, positions, readout, the wordings of both personas (to find them in the prompts)
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np

from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.io.cli import UserError
from stages.lib.patching import aligned, experiment, patch
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.positions import position_runs, position_tables, schema
from stages.positions.config import PositionsConfig


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    heads: cli.HeadSet,
    out: Annotated[
        Path,
        "writes one row per statement and run: at the last k positions, and at blocks of the "
        "prompt (Parquet)",
    ],
) -> None:
    """Patch z in at the last k positions, then at one block of the prompt at a time."""
    section = params.section("positions", PositionsConfig)
    setting = experiment.load(pairs, model, ("report",), section.limit)
    known, config = setting.pairs, setting.config
    search = tables.read_json(heads)
    patches = _patches(search["window"], search["heads"], *setting.shape)

    last = position_runs.last(setting, patches, _fitting(section.counts, known))

    decode = setting.lm.tokenizer.decode
    placed, counterparts, notes = aligned.pairs(known, aligned.wordings(config), decode)
    setting = replace(setting, pairs=placed)
    writings = (
        position_runs.writings(counterparts, section.draws, section.seed)
        if "window" in patches
        else {}
    )
    nothing = np.zeros(setting.shape, bool)
    parts = position_runs.at_blocks(setting, patches.get("window", nothing), counterparts, writings)
    if not forward.is_main_process():
        return
    if len(parts.pairs.table) < len(known.table):
        n = len(known.table) - len(parts.pairs.table)
        print(f"positions: blocks leave out {n} statements, {len(notes)} of them", *notes, sep="\n")
    rows = position_tables.rows(last, parts, patches, config)
    tables.write(out, rows, schema.SCHEMA, ["statement_id", "base", "patch_id"])


def _patches(
    best: dict[str, int] | None, heads: list[list[int]], n_layers: int, n_heads: int
) -> dict[str, np.ndarray]:
    """Patches of the best window and of the head set, each (n_layers, n_heads), bool, if any."""
    sets = {"window": patch.of_window(best, n_heads), "set": [Head(*head) for head in heads]}
    return {k: patch.of_heads([v], n_layers, n_heads)[0] for k, v in sets.items() if v}


def _fitting(counts: tuple[int, ...], pairs: PromptPairs) -> list[int]:
    """Numbers of positions that fit every prompt, in order; a printed line names the rest."""
    shortest = min(map(len, (*pairs.source, *pairs.base)), default=max(counts))
    fitting = sorted(count for count in counts if count <= shortest)
    if not fitting:
        raise UserError(
            f"params.yaml: positions.counts: found {list(counts)}, expected one of at most "
            f"{shortest}, the tokens of the shortest prompt"
        )
    if len(fitting) < len(counts) and forward.is_main_process():
        others = ", ".join(str(count) for count in sorted(counts) if count > shortest)
        print(f"positions: left out {others}: the shortest prompt has {shortest} tokens")
    return fitting


if __name__ == "__main__":
    cli.run(main)
