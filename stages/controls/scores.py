"""Scores of `controls`: each run, and the real patch minus each control.

Params  patch
"""

from pathlib import Path
from typing import Annotated

import polars as pl

from stages.controls.metrics import ControlsMetrics
from stages.controls.schema import (
    BASE,
    DONOR_RUNS,
    PATCHED,
    REVERSE,
    REVERSE_REST,
    RUNS,
    SCHEMA,
    SOURCE,
)
from stages.lib import stats
from stages.lib.io import cli, params, records, tables
from stages.lib.io.tables import Row
from stages.lib.patching import patch, patched_runs, roles
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import run_points
from stages.lib.stats.run_points import ALL, Difference


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[
        Path,
        "writes controls.json (one row per topic, run and measure) into this folder",
    ],
) -> None:
    """Score every run over all statements and on each topic."""
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, SCHEMA, pairs)
    rows = points(about, table, run_points.topics(pairs), config)
    tables.write_rows(plots / "controls.json", rows)
    records.write(metrics, summarise(about, table))


def points(
    about: PromptPairs, runs: pl.DataFrame, topics: list[str], config: PatchConfig
) -> list[Row]:
    """Measure every run on each topic: accuracy, and how often the answer is the donor's label.

    Parameters
    ----------
    about : PromptPairs
        The statements.
    runs : DataFrame
        Table of stage `controls`, with the columns of `SCHEMA`.
    topics : list of str
        `ALL`, then every topic.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of dict
        Rows of plots/controls/controls.json, with the runs in the order of `RUNS`.
    """
    by_run = _by_run(about, runs)
    result: list[Row] = []
    for topic in topics:
        for run, rows in by_run.items():
            names = {"topic": topic, "run": run, **roles.personas(RUNS[run], config)}
            topic_rows = rows if topic == ALL else rows.filter(pl.col("topic") == topic)
            rates = {"accuracy": _rate(topic_rows, "label")}
            if run in DONOR_RUNS:
                rates["follows_donor"] = _rate(topic_rows, "donor_label")
            result += [
                {**names, "measure": measure, **interval.row()}
                for measure, interval in rates.items()
            ]
    return result


def summarise(about: PromptPairs, runs: pl.DataFrame) -> ControlsMetrics:
    """Measure every run over all statements, and the real patch minus each control."""
    by_run = _by_run(about, runs)
    control_names = (
        set(by_run) - {SOURCE, PATCHED, REVERSE, REVERSE_REST} if PATCHED in by_run else ()
    )
    reverse_gap = (
        _minus(about, by_run[REVERSE], by_run[REVERSE_REST]) if REVERSE_REST in by_run else None
    )
    return ControlsMetrics(
        known=run_points.count(about.table),
        runs={
            run: run_points.measure(
                about.only(rows["statement_id"]), patched_runs.probabilities_of(rows)
            )
            for run, rows in by_run.items()
        },
        by_label={
            run: run_points.by_label(
                about.only(rows["statement_id"]), patched_runs.probabilities_of(rows)
            )
            for run, rows in by_run.items()
        },
        n_heads={run: n for run in by_run if (n := _n_heads(by_run, run))},
        patched_minus={run: _minus(about, by_run[PATCHED], by_run[run]) for run in control_names},
        reverse_minus_rest=vars(reverse_gap) if reverse_gap else {},
        follows_donor={
            run: _rate(by_run[run], "donor_label") for run in by_run if run in DONOR_RUNS
        },
    )


def _by_run(about: PromptPairs, runs: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Group rows by run, sorted by statement; add label, topic, subject and the donor's label.

    The unpatched runs are returned even without rows and, if the set was patched, the runs with
    donors; other runs only if they were made.
    """
    statement = about.table.select("statement_id", "topic", "label", "subject")
    donor = about.table.select(donor="statement_id", donor_label="label")
    joined = runs.join(statement, on="statement_id").join(donor, on="donor", how="left")
    joined = joined.sort("statement_id")
    present = {SOURCE, BASE, *joined["run"]}
    if PATCHED in present:
        present |= set(DONOR_RUNS)
    return {run: joined.filter(pl.col("run") == run) for run in RUNS if run in present}


def _n_heads(by_run: dict[str, pl.DataFrame], run: str) -> int:
    """Count the heads that a run patches; runs with donors patch the set, even without rows."""
    rows = by_run[PATCHED if run in DONOR_RUNS else run]
    return len(rows["heads"][0]) if len(rows) else 0


def _rate(rows: pl.DataFrame, label: str) -> stats.Interval:
    """Measure how often the answer equals the label in a column."""
    is_match = patch.correct(patched_runs.probabilities_of(rows), rows[label].to_numpy())
    return stats.rate(is_match, rows["subject"].to_numpy())


def _minus(about: PromptPairs, patched_rows: pl.DataFrame, control: pl.DataFrame) -> Difference:
    """Subtract the control from the real patch, on the statements of the control."""
    paired_rows = patched_rows.join(control.select("statement_id"), on="statement_id", how="semi")
    runs = (patched_runs.probabilities_of(rows) for rows in (paired_rows, control))
    return run_points.difference(about.only(control["statement_id"]), *runs)


if __name__ == "__main__":
    cli.run(main)
