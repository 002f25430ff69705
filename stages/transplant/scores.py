"""Scores of `transplant`: the head set by topic, in both directions, beside random sets.

Params  patch
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import polars as pl

from stages.lib import stats
from stages.lib.io import cli, params, records, tables
from stages.lib.io.tables import Row
from stages.lib.patching import patch, patched_runs, roles
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.patching.roles import RUNS
from stages.lib.stats import Interval, run_points
from stages.lib.stats.run_points import ALL, Point
from stages.transplant.metrics import Rank, Ranks, Sharing, TransplantMetrics
from stages.transplant.schema import CONTROLS, PERSONAS, SCHEMA

ONE_ANSWER = 0.9  # fraction of answers that are the same word


class NamedRun(NamedTuple):
    """One run: statements, name, personas that give z and that answer, draw, answers, heads."""

    about: PromptPairs
    name: str
    source: str
    base: str
    draw: int
    probabilities: np.ndarray  # (n_statements, 2), float32
    heads: frozenset[Head]


class ScoredRun(NamedTuple):
    """The point of one run on one topic."""

    topic: str
    run: NamedRun
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
    scored_runs = score(read_runs(about, table, config), run_points.topics(pairs))
    tables.write_rows(plots / "transplant.json", [_row(entry) for entry in scored_runs])
    heads = table.filter(pl.col("run") == "patched")["heads"]
    n_heads = len(heads[0]) if len(heads) else None
    records.write(metrics, summarise(about, scored_runs, n_heads))


def read_runs(about: PromptPairs, table: pl.DataFrame, config: PatchConfig) -> list[NamedRun]:
    """Read every run: unpatched, the set in both directions, the random sets.

    Parameters
    ----------
    about : PromptPairs
        The statements of the table.
    table : DataFrame
        With the columns of `SCHEMA`.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of NamedRun
        The runs of `RUNS`, then the draws of `CONTROLS`, perhaps over fewer statements.
    """
    runs: list[NamedRun] = []
    for name, own_roles in PERSONAS.items():
        source, base = roles.personas(own_roles, config).values()
        rows = table.filter(run=name)
        own, draws = about.only(rows["statement_id"]), rows["draw"].unique().sort()
        runs += [
            NamedRun(
                own,
                name,
                source,
                base,
                draw,
                patched_runs.probabilities(rows, draw=draw),
                _heads(rows.filter(draw=draw)),
            )
            for draw in draws
        ]
    return runs


def score(runs: list[NamedRun], topics: list[str]) -> list[ScoredRun]:
    """Score every run on every topic, topic by topic."""
    return [
        ScoredRun(
            topic,
            run,
            run_points.measure(run.about, run.probabilities, run_points.of_topic(run.about, topic)),
        )
        for topic in topics
        for run in runs
    ]


def summarise(
    about: PromptPairs, scored_runs: list[ScoredRun], n_heads: int | None
) -> TransplantMetrics:
    """Collect points by topic, paired effects of the patch, and ranks among random sets."""
    overall = [entry for entry in scored_runs if entry.topic == ALL]
    runs = [entry.run for entry in overall]
    p = {run.name: run.probabilities for run in runs}
    random, elsewhere = (_ranks(runs, name) for name in CONTROLS)
    return TransplantMetrics(
        n_heads=n_heads,
        known=run_points.count(about.table),
        by_topic={
            topic: {
                entry.run.name: entry.point
                for entry in scored_runs
                if entry.topic == topic and entry.run.name in RUNS
            }
            for topic in dict.fromkeys(entry.topic for entry in scored_runs)
        },
        by_label={
            run.name: run_points.by_label(run.about, run.probabilities)
            for run in runs
            if run.name in RUNS
        },
        effect={
            f"{a} - {b}": run_points.difference(about, p[a], p[b])
            for a, b in (("patched", "base"), ("reverse", "source"))
        },
        random=random,
        elsewhere=elsewhere,
    )


def _row(entry: ScoredRun) -> Row:
    """Make one row of plots/transplant/transplant.json."""
    _, name, source, base, draw, *_ = entry.run
    names: Row = {"topic": entry.topic, "run": name, "source": source, "base": base, "draw": draw}
    return names | entry.point.row()


def _ranks(runs: list[NamedRun], control: str) -> Ranks:
    """Rank the set among random sets, on the statements that the random sets ran on."""
    random_runs = [run for run in runs if run.name == control]
    if not random_runs or not len(random_runs[0].about.table):
        return Ranks(Rank.of_none(len(random_runs)), Rank.of_none(len(random_runs)), None, None, {})
    about, random = random_runs[0].about, np.stack([run.probabilities for run in random_runs])
    patched = next(run for run in runs if run.name == "patched")
    is_sampled = patched.about.table["statement_id"].is_in(about.table["statement_id"].implode())
    own = patched.probabilities[is_sampled.to_numpy()]
    lead = run_points.difference(about, own, random)

    def rank(
        measure_answers: Callable[[np.ndarray, np.ndarray], np.ndarray], lead: Interval
    ) -> Rank:
        """Rank the set by one measure."""
        set_mean = float(measure_answers(own, about.label).mean())
        means = measure_answers(random, about.label).mean(axis=1)
        as_good = int((means >= set_mean - stats.MARGIN - stats.ROUNDING).sum())
        p05, median, p95 = np.quantile(means, (0.05, 0.5, 0.95)).tolist()
        return Rank(
            n_sets=len(means),
            own=set_mean,
            mean=float(means.mean()),
            median=median,
            max=float(means.max()),
            p05=p05,
            p95=p95,
            as_good=stats.proportion(as_good, len(means)),
            lead=lead,
            p_value=(1 + as_good) / (1 + len(means)),
            p_least=1 / (1 + len(means)),
        )

    true_share = (random[..., 0] > random[..., 1]).mean(axis=1)
    return Ranks(
        accuracy=rank(patch.correct, lead.accuracy),
        p_correct=rank(patch.p_correct, lead.p_correct),
        by_label=run_points.by_label(about, random),
        one_answer=int((np.maximum(true_share, 1 - true_share) >= ONE_ANSWER).sum()),
        shared=_shared(random_runs, patched.heads),
    )


def _shared(random_runs: list[NamedRun], heads: frozenset[Head]) -> dict[str, Sharing]:
    """Average random sets by the number of heads that they share with the head set."""
    by_count: dict[int, list[NamedRun]] = {}
    for run in random_runs:
        by_count.setdefault(len(run.heads & heads), []).append(run)

    def mean(
        runs: list[NamedRun], measure_answers: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> float:
        """Average a measure over runs and statements."""
        return float(np.mean([measure_answers(run.probabilities, run.about.label) for run in runs]))

    return {
        str(count): Sharing(len(runs), mean(runs, patch.correct), mean(runs, patch.p_correct))
        for count, runs in sorted(by_count.items())
    }


def _heads(rows: pl.DataFrame) -> frozenset[Head]:
    """Read the heads that a run patches."""
    head_dicts = rows["heads"][0].to_list() if len(rows) else []
    return frozenset(Head(**head) for head in head_dicts)


if __name__ == "__main__":
    cli.run(main)
