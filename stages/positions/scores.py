"""Scores of `positions`: the effect of a patch by number of positions, and by block.

Params  patch
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import polars as pl

from stages.lib import stats
from stages.lib.io import cli, params, records, tables
from stages.lib.io.tables import Row
from stages.lib.patching import layer_window, patch, patched_runs
from stages.lib.patching.blocks import BLOCKS
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import run_points
from stages.lib.stats.run_points import Difference, Point
from stages.positions.metrics import BlockPoint, PositionsMetrics, Unpatched
from stages.positions.schema import ALL, PATCHED, SCHEMA, UNPATCHED, UNPATCHED_BLOCKS

RUNS = ("source", "alone", "elsewhere", "base", "left_out")  # in the order of plots
ROLES = ("source", "base")


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[
        Path,
        "writes counts.json (one row per number of last positions and run) and blocks.json "
        "(one row per block of the prompt and run) into this folder",
    ],
) -> None:
    """Score the runs by number of last positions, and by block of the prompt."""
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, SCHEMA, pairs)
    counts, blocks = by_count(about, table, config), by_block(about, table, config)
    tables.write_rows(plots / "counts.json", counts)
    tables.write_rows(plots / "blocks.json", blocks)
    records.write(metrics, summarise(about, table, counts, blocks, config))


def by_count(about: PromptPairs, runs: pl.DataFrame, config: PatchConfig) -> list[Row]:
    """Measure accuracy and p_correct per number of patched last positions.

    Parameters
    ----------
    about : PromptPairs
        The statements of the runs.
    runs : DataFrame
        What stage `positions` wrote, with the columns of `SCHEMA`.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of dict
        Rows of plots/positions/counts.json, one per count and run. Unpatched runs are repeated at
        every count; their `patched` is ``nothing``. Empty if no run was patched.

    References
    ----------
    arXiv:2311.15131, appendix B.5.
    """
    last_runs = runs.filter(pl.col("run") == "last")
    patched = [name for name in PATCHED if name in last_runs["patched"]]
    names = [("source", "nothing"), *(("patched", w) for w in patched), ("base", "nothing")]
    result: list[Row] = []
    for count in sorted(set(last_runs["positions"])):
        for run, name in names:
            if run == "patched":
                p = patched_runs.probabilities(last_runs, patched=name, positions=count)
            else:
                p = _unpatched(runs, UNPATCHED, getattr(config, run))
            row = {"run": run, "patched": name, **config.personas, "positions": count}
            result.append(row | run_points.measure(about, p).row())
    return result


def by_block(about: PromptPairs, runs: pl.DataFrame, config: PatchConfig) -> list[Row]:
    """Measure accuracy and p_correct of each block of the prompt, patched alone or left out.

    Parameters
    ----------
    about, runs, config
        As `by_count`.

    Returns
    -------
    list of dict
        Rows of plots/positions/blocks.json, one per block and run, random positions included. The
        block `all` is all blocks together; unpatched runs are repeated at every block. `positions`
        is the mean number of patched positions; a rate of ``elsewhere`` is over all draws.
    """
    block_pairs = _with_blocks(about, runs)
    result: list[Row] = []
    for block in (*BLOCKS, ALL):
        for run in RUNS:
            run_rows = _of_block(runs, run, block, config)
            if run in ROLES or len(run_rows):
                positions = cast("float | None", run_rows["positions"].mean())
                result.append(
                    {"block": block, "run": run, **config.personas, "positions": positions}
                    | _point(block_pairs, _draws(run_rows, block_pairs))
                )
    return result


def summarise(
    about: PromptPairs,
    runs: pl.DataFrame,
    by_count: list[Row],
    by_block: list[Row],
    config: PatchConfig,
) -> PositionsMetrics:
    """Collect accuracy by number of positions and by block.

    Parameters
    ----------
    about, runs, config
        As `by_count`.
    by_count, by_block : list of dict
        Results of the functions of these names.
    """
    known = {
        "counts": (about, UNPATCHED),
        "blocks": (_with_blocks(about, runs), UNPATCHED_BLOCKS),
    }
    heads = {name: _heads(runs, name) for name in PATCHED}
    return PositionsMetrics(
        source=config.source,
        base=config.base,
        counts={
            patched: {
                str(row["positions"]): Point.of(row)
                for row in by_count
                if row["patched"] == patched
            }
            for patched in PATCHED
            if heads[patched]
        },
        blocks={
            block: {
                str(row["run"]): BlockPoint.of(row)
                for row in by_block
                if row["block"] == block and row["run"] not in ROLES
            }
            | {"difference": _differences(about, runs, block, config)}
            for block in runs["block"].drop_nulls().unique()
        },
        unpatched={
            name: Unpatched(
                *(
                    run_points.measure(statements, _unpatched(runs, patch_id, persona))
                    for persona in (config.source, config.base)
                )
            )
            for name, (statements, patch_id) in known.items()
        },
        known={name: run_points.count(statements.table) for name, (statements, _) in known.items()},
        window=layer_window.of(heads["window"]),
        n_heads=len(heads["set"]),
    )


def _differences(
    about: PromptPairs, runs: pl.DataFrame, block: str, config: PatchConfig
) -> dict[str, Difference]:
    """Compare a block with no patch and random positions, and all blocks with all but this one."""
    block_pairs = _with_blocks(about, runs)
    comparisons = {"alone - base": (("alone", block), ("base", ""))}
    if block != ALL:
        comparisons["all - left_out"] = (("alone", ALL), ("left_out", block))
    if len(_of_block(runs, "elsewhere", block, config)):
        comparisons["alone - elsewhere"] = (("alone", block), ("elsewhere", block))
    return {
        name: run_points.difference(
            block_pairs, *(_draws(_of_block(runs, *run, config), block_pairs) for run in run_pair)
        )
        for name, run_pair in comparisons.items()
    }


def _with_blocks(about: PromptPairs, runs: pl.DataFrame) -> PromptPairs:
    """Keep the statements whose blocks were found in both prompts."""
    return about.only(runs.filter(pl.col("patch_id") == UNPATCHED_BLOCKS)["statement_id"])


def _of_block(runs: pl.DataFrame, run: str, block: str, config: PatchConfig) -> pl.DataFrame:
    """Select one run's rows at a block, all draws; unpatched runs are the same at every block."""
    if run in ROLES:
        persona = pl.col("base") == getattr(config, run)
        return runs.filter(pl.col("patch_id") == UNPATCHED_BLOCKS, persona)
    return runs.filter(pl.col("run") == run, pl.col("block") == block)


def _draws(rows: pl.DataFrame, pairs: PromptPairs) -> np.ndarray:
    """Stack P(true) and P(false) of all draws of a run: (n_draws, n_statements, 2), float32."""
    n = len(pairs.table)
    p = patched_runs.probabilities_of(rows.sort("draw", "statement_id"))
    return p.reshape(len(rows) // n if n else 1, n, 2)


def _unpatched(runs: pl.DataFrame, patch_id: str, persona: str) -> np.ndarray:
    """Read P(true) and P(false) of a persona's unpatched run: (n_statements, 2), float32."""
    return patched_runs.probabilities(runs, patch_id=patch_id, base=persona)


def _point(pairs: PromptPairs, draws: np.ndarray) -> dict[str, float | None]:
    """Measure accuracy and p_correct over all draws, (n_draws, n_statements, 2), by subject."""
    correct = patch.correct(draws, pairs.label)
    accuracy = stats.rate(correct.ravel(), np.tile(pairs.subject, len(draws)))
    p_correct = stats.mean(
        patch.p_correct(draws, pairs.label).ravel(), np.tile(pairs.subject, len(draws))
    )
    row = replace(accuracy, n=correct.shape[1]).row("accuracy")
    return row | run_points.beside("p_correct", p_correct)


def _heads(runs: pl.DataFrame, patched: str) -> list[Head]:
    """List the heads of the patch of that name; empty if no run has it."""
    heads = runs.filter(pl.col("patched") == patched)["heads"].head(1).explode().to_list()
    return [Head(**head) for head in heads]


if __name__ == "__main__":
    cli.run(main)
