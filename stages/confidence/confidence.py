"""Accuracy of the answers that reach a confidence, for unpatched and patched runs."""

from pathlib import Path
from typing import Any

import polars as pl

from stages.confidence.metrics import Run
from stages.lib import stats
from stages.lib.io import row_order, tables
from stages.lib.patching.config import PatchConfig
from stages.lib.stats import Interval, answer_rates

RUNS = ("patched", "source", "base", "reverse")  # as stage `transplant` names them
SCHEMA: tables.Schema = tables.READOUTS | {"run": pl.String, "draw": pl.Int32}
REPORTED = (0.0, 0.5, 0.75, 0.9, 0.95)  # confidences that the metrics hold; the plot has them all

Rows = list[dict[str, Any]]


def answers(statements: pl.DataFrame, file: Path) -> dict[str, pl.DataFrame]:
    """Answers of each run, all on the same statements.

    Parameters
    ----------
    statements : DataFrame
        Columns of `tables.STATEMENTS`.
    file : Path
        Runs that stage `transplant` wrote.

    Returns
    -------
    dict of str to DataFrame
        By run of `RUNS`: columns of `answer_rates.answer`. No rows where the model knows nothing.

    Raises
    ------
    UserError
        If a run is not about the same statements as the others.
    """
    runs = tables.read(file, SCHEMA)
    about = statements.filter(pl.col("statement_id").is_in(runs["statement_id"].unique().implode()))
    answered = {}
    for run in RUNS:
        rows = runs.filter(pl.col("run") == run).sort("statement_id")
        row_order.require(file, rows["statement_id"], about["statement_id"])
        answered[run] = answer_rates.answer(about, rows)
    return answered


def names(config: PatchConfig) -> dict[str, dict[str, str]]:
    """Each run's columns `run`, `source` (persona that gives z) and `base` (persona patched)."""
    source, base = config.source, config.base
    pairs = ((source, base), (source, source), (base, base), (base, source))
    return {
        run: {"run": run, "source": of, "base": into}
        for run, (of, into) in zip(RUNS, pairs, strict=True)
    }


def points(runs: dict[str, pl.DataFrame], config: PatchConfig) -> Rows:
    """Rows of a plot table: run, source, base, confidence, accuracy, low, high, n.

    Accuracy is that of the `n` answers whose probability is at least `confidence`, None where there
    is no such answer.

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


def summarise(runs: dict[str, pl.DataFrame], points: Rows) -> dict[str, Run]:
    """Collect each run's accuracy at a few thresholds, and its mean confidence."""
    rates = {
        (row["run"], row["confidence"]): Interval(
            row["accuracy"], row["low"], row["high"], row["n"]
        )
        for row in points
    }
    return {
        run: Run(
            {f"{least:g}": rates[run, least] for least in REPORTED},
            stats.mean(answers["confidence"].to_numpy(), answers["subject"].to_numpy()),
        )
        for run, answers in runs.items()
    }
