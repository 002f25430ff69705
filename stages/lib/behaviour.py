"""What a persona answers: rates by split, accuracy against confidence, and what is known."""

from typing import Any

import polars as pl

from stages.behaviour.config import Config
from stages.lib import stats
from stages.lib.model import readout
from stages.lib.stats import Interval

ALL = "all"  # the name under which all splits together are reported
MEASURES = ("accuracy", "recall_true", "recall_false", "truth_mass")
STEPS = 20  # thresholds of confidence from 0 to 1

Rows = list[dict[str, Any]]
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


def accuracy_rows(persona: str, measured: Measured) -> Rows:
    """Rows of a plot table: persona, split, measure, value, low, high, n."""
    return [
        {"persona": persona, "split": split, "measure": name} | intervals[name].row()
        for split, intervals in measured.items()
        for name in MEASURES
    ]


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
    rows = []
    for threshold in (step / STEPS for step in range(STEPS + 1)):
        kept = answers.filter(pl.col("confidence").cast(pl.Float64) >= threshold)
        interval = stats.rate(kept["correct"].to_numpy(), kept["subject"].to_numpy())
        rows.append({"persona": persona, "threshold": threshold} | interval.row("accuracy"))
    return rows


def know(answers: pl.DataFrame, settings: Config) -> pl.DataFrame:
    """Decide which statements the model knows, from the neutral persona's answers.

    Returns
    -------
    DataFrame
        Columns of `tables.KNOWN`: known is true where the answer is right, with margin and
        truth_mass above the settings'. Nothing else, so that a rewording which changes what the
        model says but not what it knows reruns no patching.

    References
    ----------
    The code of arXiv:2311.15131 keeps what a smaller model (LLaMA-2-7b-chat) answers rightly with
    probability above 0.85. Here the model itself decides, under a persona that is not reported on:
    filtering by an answer that is then scored would be circular.
    """
    clear = pl.col("margin").cast(pl.Float64) > settings.known_margin
    meant = pl.col("truth_mass").cast(pl.Float64) > settings.known_truth_mass
    known = pl.col("correct") & clear & meant
    return answers.select("statement_id", known.alias("known"))


def count_known(answers: pl.DataFrame, known: pl.DataFrame) -> dict[str, Any]:
    """Count the known statements.

    Returns
    -------
    dict
        split ("all" too) -> "true", "false" (labels) or "both" -> ``{"known": …, "n": …}``.
    """
    table = answers.select("split", "label", known["known"])
    result: dict[str, Any] = {}
    for split in (ALL, *table["split"].unique().sort()):
        rows = table if split == ALL else table.filter(pl.col("split") == split)
        result[split] = {"both": _count(rows)}
        for label in (True, False):
            result[split][str(label).lower()] = _count(rows.filter(pl.col("label") == label))
    return result


def first_token(tokens: pl.Series, subjects: pl.Series) -> dict[str, Any]:
    """Name the commonest most probable token of some prompts, and the share that it is first in.

    Parameters
    ----------
    tokens, subjects : Series of str
        One row per statement.

    Returns
    -------
    dict
        ``token``, and ``value, low, high, n`` of the share.
    """
    token, _ = readout.common(tokens)
    share = stats.rate((tokens == token).to_numpy(), subjects.to_numpy())
    return {"token": token} | share.row()


def rates(rows: pl.DataFrame) -> dict[str, Interval]:
    """Accuracy, recall on true and on false statements, and truth_mass of some answers."""
    true, false = rows.filter(pl.col("label")), rows.filter(~pl.col("label"))
    result = {
        name: stats.rate(part["correct"].to_numpy(), part["subject"].to_numpy())
        for name, part in zip(MEASURES, (rows, true, false), strict=False)
    }
    mass, subjects = rows["truth_mass"].to_numpy(), rows["subject"].to_numpy()
    return result | {"truth_mass": stats.mean(mass, subjects)}


def _count(rows: pl.DataFrame) -> dict[str, int]:
    """Known statements, of how many."""
    return {"known": int(rows["known"].sum()), "n": len(rows)}
