"""Scores of `transplant`: the head set by topic, in both directions, among random sets.

Params  patch
"""

from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import polars as pl

from stages.lib.io import cli, params, tables
from stages.lib.io import metrics as metrics_file
from stages.lib.io.tables import Row
from stages.lib.patching import patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import run_points
from stages.lib.stats.run_points import ALL, Point
from stages.transplant.metrics import Rank, Ranks, TransplantMetrics
from stages.transplant.runs import CONTROLS, RUNS, SCHEMA


class Run(NamedTuple):
    """One run: its name, the personas that z is from and that answers, its draw, its answers."""

    name: str
    source: str
    base: str
    draw: int
    probabilities: np.ndarray  # (n_statements, 2), float32


class Scored(NamedTuple):
    """One run on one topic."""

    topic: str
    run: Run
    point: Point


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[Path, "writes transplant.json (one row per topic and run) into this folder"],
) -> None:
    """Score every run on every topic."""
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, SCHEMA, pairs)
    scored = score(about, read_runs(table, config), run_points.topics(pairs))
    tables.write_rows(plots / "transplant.json", [_row(one) for one in scored])
    heads = table.filter(pl.col("run") == "patched")["heads"]
    n_heads = len(heads[0]) if len(heads) else None
    metrics_file.write(metrics, summarise(about, scored, n_heads))


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


def score(about: PromptPairs, runs: list[Run], topics: list[str]) -> list[Scored]:
    """Score every run on every topic, topic by topic."""
    return [
        Scored(
            topic,
            run,
            run_points.measure(about, run.probabilities, run_points.of_topic(about, topic)),
        )
        for topic in topics
        for run in runs
    ]


def summarise(about: PromptPairs, scored: list[Scored], n_heads: int | None) -> TransplantMetrics:
    """Collect runs by topic, what the patch changes pair by pair, and the set among random ones."""
    overall = [one for one in scored if one.topic == ALL]
    p = {one.run.name: one.run.probabilities for one in overall}
    random, elsewhere = (
        Ranks(accuracy=_rank(overall, run, "accuracy"), p_correct=_rank(overall, run, "p_correct"))
        for run in CONTROLS
    )
    return TransplantMetrics(
        n_heads=n_heads,
        known=run_points.count(about.table),
        by_topic={
            topic: {
                one.run.name: one.point
                for one in scored
                if one.topic == topic and one.run.name in RUNS
            }
            for topic in dict.fromkeys(one.topic for one in scored)
        },
        effect={
            f"{a} - {b}": run_points.difference(about, p[a], p[b])
            for a, b in (("patched", "base"), ("reverse", "source"))
        },
        random=random,
        elsewhere=elsewhere,
    )


def _row(one: Scored) -> Row:
    """One row of plots/transplant/transplant.json."""
    name, source, base, draw, _ = one.run
    names: Row = {"topic": one.topic, "run": name, "source": source, "base": base, "draw": draw}
    return names | one.point.row()


def _rank(overall: list[Scored], run: str, measure: str) -> Rank:
    """Place the set among the random sets: the share of sets, itself included, as good as it."""
    values = [getattr(one.point, measure) for one in overall if one.run.name == run]
    mine = next(getattr(one.point, measure) for one in overall if one.run.name == "patched")
    if mine is None or not values:
        return Rank(n_sets=len(values), mean=None, max=None, p_value=None)
    as_good = 1 + sum(value >= mine for value in values)
    p_value = as_good / (1 + len(values))
    return Rank(len(values), mean=float(np.mean(values)), max=max(values), p_value=p_value)


if __name__ == "__main__":
    cli.run(main)
