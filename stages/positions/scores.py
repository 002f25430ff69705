"""Scores of `positions`: what the patch does at some positions, by their number and by block.

Params  patch
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl

from stages.lib import stats
from stages.lib.io import cli, params, tables
from stages.lib.patching import cases, patch, patched_runs
from stages.lib.patching.cases import Cases
from stages.lib.patching.config import PatchConfig
from stages.lib.stats import run_points
from stages.positions.blocks import BLOCKS
from stages.positions.schema import ALL, SCHEMA, UNPATCHED, UNPATCHED_BLOCKS, WRITTEN

RUNS = ("source", "alone", "elsewhere", "base", "left_out")  # in the order of plots
ROLES = ("source", "base")
Rows = list[dict[str, Any]]


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
    """Count the runs by number of last positions, and by block of the prompt."""
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, SCHEMA, pairs)
    counts, blocks = by_count(about, table, config), by_block(about, table, config)
    tables.write_rows(plots / "counts.json", counts)
    tables.write_rows(plots / "blocks.json", blocks)
    tables.write_json(metrics, summarise(about, table, counts, blocks, config))


def by_count(about: Cases, runs: pl.DataFrame, config: PatchConfig) -> Rows:
    """Accuracy and truth against how many last positions are patched.

    Parameters
    ----------
    about : Cases
        The statements of the runs.
    runs : DataFrame
        What stage `positions` wrote, with the columns of `SCHEMA`.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of dict
        Of plots/positions/counts.json: one row per count and run; `written` is ``nothing`` in
        unpatched runs, which stand at every count. No row where nothing was patched in.

    References
    ----------
    arXiv:2311.15131, appendix B.5.
    """
    last = runs.filter(pl.col("run") == "last")
    written = [name for name in WRITTEN if name in last["written"]]
    names = [("source", "nothing"), *(("patched", w) for w in written), ("base", "nothing")]
    result = []
    for count in sorted(set(last["positions"])):
        for run, name in names:
            if run == "patched":
                p = patched_runs.probabilities(last, written=name, positions=count)
            else:
                p = _unpatched(runs, UNPATCHED, getattr(config, run))
            row = {"run": run, "written": name, **_personas(config), "positions": count}
            result.append(row | run_points.point(about, p))
    return result


def by_block(about: Cases, runs: pl.DataFrame, config: PatchConfig) -> Rows:
    """Accuracy and truth with each block of the prompt patched, left out, and random positions.

    Parameters
    ----------
    about, runs, config
        As `by_count`.

    Returns
    -------
    list of dict
        Of plots/positions/blocks.json: one row per block and run; `all` stands for every block, and
        unpatched runs stand at each. `positions` is the mean number of them; a rate of
        ``elsewhere`` is that of all draws.
    """
    found = _with_blocks(about, runs)
    result = []
    for block in (*BLOCKS, ALL):
        for run in RUNS:
            own = _of_block(runs, run, block, config)
            if run in ROLES or len(own):
                result.append(
                    {"block": block, "run": run, **_personas(config)}
                    | {"positions": own["positions"].mean()}
                    | _point(found, _draws(own, found))
                )
    return result


def summarise(
    about: Cases, runs: pl.DataFrame, by_count: Rows, by_block: Rows, config: PatchConfig
) -> dict[str, Any]:
    """Collect accuracy by number of positions and by block.

    Parameters
    ----------
    about, runs, config
        As `by_count`.
    by_count, by_block : list of dict
        From the functions of these names.

    Returns
    -------
    dict
        What metrics/positions.json holds.
    """
    of_blocks: dict[str, Any] = {}
    for block in runs["block"].drop_nulls().unique():
        own = {row["run"]: row for row in by_block if row["block"] == block}
        of_blocks[block] = {
            run: run_points.numbers(row) | {"positions": row["positions"]}
            for run, row in own.items()
            if run not in ROLES
        }
        of_blocks[block]["difference"] = _differences(about, runs, block, config)
    statements = {
        "counts": (about, UNPATCHED),
        "blocks": (_with_blocks(about, runs), UNPATCHED_BLOCKS),
    }
    heads = {name: _heads(runs, name) for name in WRITTEN}
    layers = [head["layer"] for head in heads["window"]]
    return {
        **_personas(config),
        "counts": {
            written: {
                str(row["positions"]): run_points.numbers(row)
                for row in by_count
                if row["written"] == written
            }
            for written in WRITTEN
            if heads[written]
        },
        "blocks": of_blocks,
        "unpatched": {
            name: {
                role: run_points.point(found, _unpatched(runs, patch_id, getattr(config, role)))
                for role in ROLES
            }
            for name, (found, patch_id) in statements.items()
        },
        "known": {name: cases.count(found.table) for name, (found, _) in statements.items()},
        "window": {"first_layer": min(layers), "last_layer": max(layers)} if layers else None,
        "n_heads": len(heads["set"]),
    }


def _differences(
    about: Cases, runs: pl.DataFrame, block: str, config: PatchConfig
) -> dict[str, Any]:
    """What a block does beyond nothing, beyond random positions, and to all the others."""
    found = _with_blocks(about, runs)

    def mean(run: str, of: str) -> np.ndarray:
        """Mean over draws, in each statement, of whether the answer is right, and of truth."""
        p = _draws(_of_block(runs, run, of, config), found)
        measures = (patch.correct(p, found.label), patch.truth(p, found.label))
        return np.stack([measure.mean(0) for measure in measures])

    compared = {"alone - base": (("alone", block), ("base", ""))}
    if block != ALL:
        compared["all - left_out"] = (("alone", ALL), ("left_out", block))
    if len(_of_block(runs, "elsewhere", block, config)):
        compared["alone - elsewhere"] = (("alone", block), ("elsewhere", block))
    return {
        name: {
            measured: stats.difference(a, b, found.subject).row()
            for measured, a, b in zip(("accuracy", "truth"), mean(*one), mean(*other), strict=True)
        }
        for name, (one, other) in compared.items()
    }


def _with_blocks(about: Cases, runs: pl.DataFrame) -> Cases:
    """Statements whose blocks were found in both prompts."""
    return about.only(runs.filter(pl.col("patch_id") == UNPATCHED_BLOCKS)["statement_id"])


def _of_block(runs: pl.DataFrame, run: str, block: str, config: PatchConfig) -> pl.DataFrame:
    """Rows of one run at a block, all draws; of the unpatched runs that stand at every block."""
    if run in ROLES:
        persona = pl.col("base") == getattr(config, run)
        return runs.filter(pl.col("patch_id") == UNPATCHED_BLOCKS, persona)
    return runs.filter(pl.col("run") == run, pl.col("block") == block)


def _draws(rows: pl.DataFrame, found: Cases) -> np.ndarray:
    """P(true) and P(false) of all draws of a run: (n_draws, n_statements, 2), float32."""
    n = len(found.table)
    p = rows.sort("draw", "statement_id").select("p_true", "p_false").to_numpy()
    return p.reshape(len(rows) // n if n else 1, n, 2)


def _unpatched(runs: pl.DataFrame, patch_id: str, persona: str) -> np.ndarray:
    """P(true) and P(false) of a persona's own run: (n_statements, 2), float32."""
    return patched_runs.probabilities(runs, patch_id=patch_id, base=persona)


def _point(found: Cases, draws: np.ndarray) -> dict[str, Any]:
    """Rate and truth over all draws, (n_draws, n_statements, 2); draws of a subject are not new."""
    correct = patch.correct(draws, found.label)
    accuracy = stats.rate(correct.ravel(), np.tile(found.subject, len(draws)))
    truth = stats.mean(patch.truth(draws, found.label).ravel(), np.tile(found.subject, len(draws)))
    row = replace(accuracy, n=correct.shape[1]).row("accuracy")
    return row | run_points.beside("truth", truth)


def _heads(runs: pl.DataFrame, written: str) -> list[dict[str, int]]:
    """Layer and head of each head that was patched in under a name; none where it was not."""
    return runs.filter(pl.col("written") == written)["heads"].head(1).explode().to_list()


def _personas(config: PatchConfig) -> dict[str, str]:
    """Persona that z is from, and the one that is patched."""
    return {"source": config.source, "base": config.base}


if __name__ == "__main__":
    cli.run(main)
