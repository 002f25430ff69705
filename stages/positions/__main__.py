"""Stage `positions`: at which positions of the prompt z must be patched.

Params  patch, positions, readout, the wordings of both personas (to find them in the prompts)
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np

from stages.lib import forward
from stages.lib.io import cli, params, records, tables
from stages.lib.io.cli import UserError
from stages.lib.patching import aligned, experiment, layer_window, patch
from stages.lib.patching.head_set import HeadSet
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
    """Patch in z at the last k positions, then in one block of the prompt at a time."""
    section = params.section("positions", PositionsConfig)
    setting = experiment.load(pairs, model, ("report",), section.limit)
    known_pairs, config = setting.pairs, setting.config
    patches = _patches(records.read(heads, HeadSet), *setting.shape)

    last_runs = position_runs.last_runs(setting, patches, _fitting(section.counts, known_pairs))

    decode = setting.lm.tokenizer.decode
    aligned_pairs, counterparts, notes = aligned.pairs(
        known_pairs, aligned.wordings(config), decode
    )
    setting = replace(setting, pairs=aligned_pairs)
    choices = (
        position_runs.choices(counterparts, section.draws, section.seed)
        if "window" in patches
        else {}
    )
    no_heads = np.zeros(setting.shape, bool)
    block_runs = position_runs.at_blocks(
        setting, patches.get("window", no_heads), counterparts, choices
    )
    if not forward.is_main_process():
        return
    if len(block_runs.pairs.table) < len(known_pairs.table):
        n_left_out = len(known_pairs.table) - len(block_runs.pairs.table)
        print(
            f"positions: blocks leave out {n_left_out} statements, {len(notes)} of them",
            *notes,
            sep="\n",
        )
    rows = position_tables.rows(last_runs, block_runs, patches, config)
    tables.write(out, rows, schema.SCHEMA, ["statement_id", "base", "patch_id"])


def _patches(head_set: HeadSet, n_layers: int, n_heads: int) -> dict[str, np.ndarray]:
    """Make the patches of the best window and head set, (n_layers, n_heads), bool; skip empty."""
    sets = {"window": layer_window.heads(head_set.window, n_heads), "set": head_set.heads}
    return {k: patch.of_heads([v], n_layers, n_heads)[0] for k, v in sets.items() if v}


def _fitting(counts: tuple[int, ...], pairs: PromptPairs) -> list[int]:
    """Sort the counts of positions that fit every prompt; print the counts that do not fit."""
    shortest = min(map(len, (*pairs.source, *pairs.base)), default=max(counts))
    fitting_counts = sorted(count for count in counts if count <= shortest)
    if not fitting_counts:
        raise UserError(
            f"params.yaml: positions.counts: found {list(counts)}, expected a count of at most "
            f"{shortest}, the number of tokens of the shortest prompt"
        )
    if len(fitting_counts) < len(counts) and forward.is_main_process():
        excess_counts = ", ".join(str(count) for count in sorted(counts) if count > shortest)
        print(f"positions: left out {excess_counts}: the shortest prompt has {shortest} tokens")
    return fitting_counts


if __name__ == "__main__":
    cli.run(main)
