"""What a transplant found: named runs, rows of a table, points of a plot, the set's rank."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from stages.lib import stats
from stages.lib.forward import Readouts
from stages.lib.patching import cases, patch, patched_runs
from stages.lib.patching.cases import Cases
from stages.lib.patching.patch import Head
from stages.lib.stats import run_points

SCHEMA = patched_runs.SCHEMA | {"run": pl.String, "draw": pl.Int32}
ALL = "all"
CONTROLS = ("random", "elsewhere")  # of the set's layers, of the others


@dataclass(frozen=True)
class Run:
    """Readouts of one run over all statements.

    Attributes
    ----------
    name : str
        ``source``, ``patched``, ``base``, ``reverse`` or one of `CONTROLS`.
    source, base : str
        Personas of the run that gives z and of the run that is written into.
    heads : list of Head
        What is written.
    probabilities : ndarray of shape (n_statements, 2), float32
        P(true) and P(false).
    draw : int
        Tells random head sets apart.
    """

    name: str
    source: str
    base: str
    heads: list[Head]
    probabilities: np.ndarray
    draw: int = 0


def runs(
    config: patch.Config,
    chosen: list[Head],
    controls: dict[str, list[list[Head]]],
    into_base: Readouts,
    into_source: Readouts,
) -> list[Run]:
    """Name every run: unpatched, the set in both directions, the random sets.

    Parameters
    ----------
    config : Config
        Section `patch`.
    chosen : list of Head
        The set.
    controls : dict of str to list of list of Head
        Random sets, by the name of their runs.
    into_base : Readouts
        The set, then the random ones, from the source into the base run.
    into_source : Readouts
        The set alone, from the base into the source run.

    References
    ----------
    arXiv:2311.15131, tables 2 to 4 (honest, patched liar, liar); random sets are not in it.
    """
    source, base = config.source, config.base
    named = [
        Run("source", source, source, [], into_base.source),
        Run("patched", source, base, chosen, into_base.patched[0]),
        Run("base", base, base, [], into_base.base),
        Run("reverse", base, source, chosen, into_source.patched[0]),
    ]
    drawn = [(name, *pair) for name, sets in controls.items() for pair in enumerate(sets)]
    return named + [
        Run(name, source, base, heads, p, draw)
        for (name, draw, heads), p in zip(drawn, into_base.patched[1:], strict=True)
    ]


def rows(found: Cases, runs: list[Run]) -> pl.DataFrame:
    """One row a statement and run."""
    return pl.concat(
        patched_runs.rows(
            found, run.probabilities, run.source, run.base, f"{run.name}_{run.draw}", run.heads
        ).with_columns(run=pl.lit(run.name), draw=pl.lit(run.draw))
        for run in runs
    )


def point(found: Cases, run: Run, split: str) -> dict[str, Any]:
    """Accuracy and truth of one run on one split."""
    chosen = (found.table["split"] == split).to_numpy() | (split == ALL)
    names = {"split": split, "run": run.name, "source": run.source, "base": run.base}
    return {**names, "draw": run.draw, **run_points.point(found, run.probabilities, chosen)}


def summarise(found: Cases, runs: list[Run], points: list[dict[str, Any]]) -> dict[str, Any]:
    """Collect runs by split, what the patch changes pair by pair, and the set among random ones.

    Returns
    -------
    dict
        What metrics/transplant.json holds.
    """
    splits = dict.fromkeys(point["split"] for point in points)
    by_name = {run.name: run.probabilities for run in runs}
    pairs = (("patched", "base"), ("reverse", "source"))
    return {
        "n_heads": len(runs[1].heads),
        "known": cases.count(found.table),
        "by_split": {
            split: {
                point["run"]: run_points.numbers(point)
                for point in points
                if point["split"] == split and point["run"] not in CONTROLS
            }
            for split in splits
        },
        "gain": {
            f"{a} - {b}": {
                name: stats.difference(
                    measure(by_name[a], found.label),
                    measure(by_name[b], found.label),
                    found.subject,
                ).row()
                for name, measure in (("accuracy", patch.correct), ("truth", patch.truth))
            }
            for a, b in pairs
        },
        **{
            run: {name: _rank(points, run, name) for name in ("accuracy", "truth")}
            for run in CONTROLS
        },
    }


def _rank(points: list[dict[str, Any]], run: str, name: str) -> dict[str, Any]:
    """Place the set among the random sets: the share of sets, itself included, as good as it."""
    overall = [point for point in points if point["split"] == ALL]
    values = [point[name] for point in overall if point["run"] == run]
    mine = next(point[name] for point in overall if point["run"] == "patched")
    if mine is None or not values:
        return {"n_sets": len(values), "mean": None, "max": None, "p_value": None}
    as_good = 1 + sum(value >= mine for value in values)
    return {
        "n_sets": len(values),
        "mean": float(np.mean(values)),
        "max": max(values),
        "p_value": as_good / (1 + len(values)),
    }
