"""Answers beside statements: rates by split, and accuracy against confidence."""

import polars as pl

from stages.lib import stats
from stages.lib.io.tables import Row
from stages.lib.stats import Interval

ALL = "all"  # the name under which all splits together are reported
MEASURES = ("accuracy", "recall_true", "recall_false", "truth_mass")
STEPS = 20  # thresholds of confidence from 0 to 1

Rows = list[Row]
Measured = dict[str, dict[str, Interval]]


def answer(statements: pl.DataFrame, readouts: pl.DataFrame) -> pl.DataFrame:
    """Put a persona's answers beside the statements.

    Parameters
    ----------
    statements : DataFrame
        Columns of `tables.STATEMENTS`.
    readouts : DataFrame
        Columns of `tables.READOUTS`; the same statements in the same order.

    Returns
    -------
    DataFrame
        statement_id, split, label, subject, truth_mass, correct (the likelier answer is the
        label; a tie is answered "false"), confidence (the likelier answer's probability) and
        margin (by which it is likelier).
    """
    p_true, p_false = readouts["p_true"], readouts["p_false"]
    return statements.select("statement_id", "split", "label", "subject").with_columns(
        readouts["truth_mass"],
        correct=(p_true > p_false) == statements["label"],
        confidence=pl.select(pl.max_horizontal(p_true, p_false)).to_series(),
        margin=(p_true - p_false).abs(),
    )


def measure(answers: pl.DataFrame) -> Measured:
    """Accuracy, recall on true and on false statements, and truth_mass by split.

    Parameters
    ----------
    answers : DataFrame
        From `answer`.

    Returns
    -------
    dict
        split ("all" first, then by name) -> measure -> Interval.
    """
    splits = {ALL: answers} | {
        split: answers.filter(pl.col("split") == split)
        for split in answers["split"].unique().sort()
    }
    return {split: rates(rows) for split, rows in splits.items()}


def threshold_rows(persona: str, answers: pl.DataFrame) -> Rows:
    """Accuracy of the answers that are at least so confident, for thresholds 0, 0.05 … 1.

    Returns
    -------
    list of dict
        persona, threshold, accuracy, low, high, n; None where no answer is so confident.

    References
    ----------
    The code of arXiv:2311.15131 counts an answer where P(true) or P(false) is above a threshold,
    so that both accuracy and the number of answers depend on it. Here: where it is not below it.
    """
    rows: Rows = []
    for threshold in (step / STEPS for step in range(STEPS + 1)):
        kept = answers.filter(pl.col("confidence").cast(pl.Float64) >= threshold)
        interval = stats.rate(kept["correct"].to_numpy(), kept["subject"].to_numpy())
        rows.append({"persona": persona, "threshold": threshold, **interval.row("accuracy")})
    return rows


def rates(rows: pl.DataFrame) -> dict[str, Interval]:
    """Accuracy, recall on true and on false statements, and truth_mass of some answers."""
    true, false = rows.filter(pl.col("label")), rows.filter(~pl.col("label"))
    result = {
        name: stats.rate(part["correct"].to_numpy(), part["subject"].to_numpy())
        for name, part in zip(MEASURES, (rows, true, false), strict=False)
    }
    mass, subjects = rows["truth_mass"].to_numpy(), rows["subject"].to_numpy()
    return result | {"truth_mass": stats.mean(mass, subjects)}
