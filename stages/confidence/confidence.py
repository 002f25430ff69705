"""Accuracy of the answers whose confidence reaches a threshold, for unpatched and patched runs."""

from pathlib import Path

import polars as pl

from stages.confidence.metrics import RunConfidence
from stages.lib import stats
from stages.lib.io import row_order, tables
from stages.lib.io.tables import Row
from stages.lib.patching import roles
from stages.lib.patching.config import PatchConfig
from stages.lib.stats import answer_rates, plot_rows

SCHEMA: tables.Schema = tables.READOUTS | {"run": pl.String, "draw": pl.Int32}
REPORTED = (0.0, 0.5, 0.75, 0.9, 0.95)  # thresholds in the metrics; the plot has all of them


def answers(statements: pl.DataFrame, file: Path) -> dict[str, pl.DataFrame]:
    """Answers of each run, all on the same statements.

    Parameters
    ----------
    statements : DataFrame
        With the columns of `tables.PAIRS`.
    file : Path
        Runs that stage `transplant` wrote.

    Returns
    -------
    dict of str to DataFrame
        By run of `roles.RUNS`: columns of `answer_rates.answer`. No rows if no statement is known.

    Raises
    ------
    UserError
        If a run is not about the same statements as the others.
    """
    runs = tables.read(file, SCHEMA)
    run_statements = statements.filter(
        pl.col("statement_id").is_in(runs["statement_id"].unique().implode())
    )
    answered = {}
    for run in roles.RUNS:
        rows = runs.filter(pl.col("run") == run).sort("statement_id")
        row_order.require(file, rows["statement_id"], run_statements["statement_id"])
        answered[run] = answer_rates.answer(run_statements, rows)
    return answered


def names(config: PatchConfig) -> dict[str, dict[str, str]]:
    """Return columns by run: `run`, `source` (persona of the z) and `base` (persona patched)."""
    return {
        run: {"run": run, **roles.personas(own_roles, config)}
        for run, own_roles in roles.RUNS.items()
    }


def points(runs: dict[str, pl.DataFrame], config: PatchConfig) -> list[Row]:
    """Make the rows of a plot table: run, source, base, confidence, accuracy, low, high, n.

    Accuracy is that of the `n` answers whose probability is at least `confidence`, None if there is
    no such answer.

    References
    ----------
    arXiv:2311.15131, appendix (accuracy and number of answers against confidence).
    """
    return [
        {**columns, "confidence": row["threshold"]}
        | {name: row[name] for name in ("accuracy", "low", "high", "n")}
        for run, columns in names(config).items()
        for row in answer_rates.threshold_rows(run, runs[run])
    ]


def summarise(runs: dict[str, pl.DataFrame], points: list[Row]) -> dict[str, RunConfidence]:
    """Collect each run's accuracy at a few thresholds, and its mean confidence."""
    rates = {(row["run"], row["confidence"]): plot_rows.interval(row, "accuracy") for row in points}
    return {
        run: RunConfidence(
            {f"{least:g}": rates[run, least] for least in REPORTED},
            stats.mean(answers["confidence"].to_numpy(), answers["subject"].to_numpy()),
        )
        for run, answers in runs.items()
    }
