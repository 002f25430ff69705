"""Scores of `transplant`: the head set by split, in both directions, among random sets.

Params  patch
"""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import polars as pl

from stages.lib import stats
from stages.lib.io import cli, params, tables
from stages.lib.patching import cases, patch, patched_runs
from stages.lib.patching.cases import Cases
from stages.lib.patching.config import PatchConfig
from stages.lib.stats import run_points
from stages.transplant.runs import CONTROLS, RUNS, SCHEMA

ALL = "all"
Points = list[dict[str, Any]]


class Run(NamedTuple):
    """One run: its name, the personas that z is from and that answers, its draw, its answers."""

    name: str
    source: str
    base: str
    draw: int
    probabilities: np.ndarray  # (n_statements, 2), float32


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[Path, "writes transplant.json (one row per split and run) into this folder"],
) -> None:
    """Score every run on every split."""
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, SCHEMA, pairs)
    splits = sorted(set(tables.read(pairs, tables.PAIRS)["split"]))
    read = read_runs(table, config)
    points = [point(about, run, split) for split in (ALL, *splits) for run in read]
    tables.write_rows(plots / "transplant.json", points)
    heads = table.filter(pl.col("run") == "patched")["heads"]
    n_heads = {"n_heads": len(heads[0]) if len(heads) else None}
    tables.write_json(metrics, n_heads | summarise(about, read, points))


def read_runs(table: pl.DataFrame, config: PatchConfig) -> list[Run]:
    """Read every run: unpatched, the set in both directions, the random sets.

    Parameters
    ----------
    table : DataFrame
        With the columns of `SCHEMA`.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of Run
        Those of `RUNS`, then the draws of `CONTROLS`.
    """
    source, base = config.source, config.base
    personas = ((source, source), (source, base), (base, base), (base, source))
    names = [(name, *pair, 0) for name, pair in zip(RUNS, personas, strict=True)]
    for name in CONTROLS:
        draws = table.filter(pl.col("run") == name)["draw"].unique().sort()
        names += [(name, source, base, draw) for draw in draws]
    return [Run(*run, patched_runs.probabilities(table, run=run[0], draw=run[-1])) for run in names]


def point(about: Cases, run: Run, split: str) -> dict[str, Any]:
    """Accuracy and truth of one run on one split."""
    chosen = (about.table["split"] == split).to_numpy() | (split == ALL)
    names = {"split": split, "run": run.name, "source": run.source, "base": run.base}
    return {**names, "draw": run.draw, **run_points.point(about, run.probabilities, chosen)}


def summarise(about: Cases, runs: list[Run], points: Points) -> dict[str, Any]:
    """Collect runs by split, what the patch changes pair by pair, and the set among random ones.

    Returns
    -------
    dict
        What metrics/transplant.json holds, but for the number of heads.
    """
    by_name = {run.name: run.probabilities for run in runs}
    return {
        "known": cases.count(about.table),
        "by_split": {
            split: {
                row["run"]: run_points.numbers(row)
                for row in points
                if row["split"] == split and row["run"] in RUNS
            }
            for split in dict.fromkeys(row["split"] for row in points)
        },
        "gain": {
            f"{a} - {b}": {
                name: stats.difference(
                    measure(by_name[a], about.label),
                    measure(by_name[b], about.label),
                    about.subject,
                ).row()
                for name, measure in (("accuracy", patch.correct), ("truth", patch.truth))
            }
            for a, b in (("patched", "base"), ("reverse", "source"))
        },
        **{
            run: {name: _rank(points, run, name) for name in ("accuracy", "truth")}
            for run in CONTROLS
        },
    }


def _rank(points: Points, run: str, name: str) -> dict[str, Any]:
    """Place the set among the random sets: the share of sets, itself included, as good as it."""
    overall = [row for row in points if row["split"] == ALL]
    values = [row[name] for row in overall if row["run"] == run]
    mine = next(row[name] for row in overall if row["run"] == "patched")
    if mine is None or not values:
        return {"n_sets": len(values), "mean": None, "max": None, "p_value": None}
    as_good = 1 + sum(value >= mine for value in values)
    return {
        "n_sets": len(values),
        "mean": float(np.mean(values)),
        "max": max(values),
        "p_value": as_good / (1 + len(values)),
    }


if __name__ == "__main__":
    cli.run(main)
