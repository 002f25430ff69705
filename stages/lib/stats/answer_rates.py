"""Rates of a persona's answers by topic, and accuracy against confidence."""

from dataclasses import dataclass

import polars as pl

from stages.lib import stats
from stages.lib.io.tables import Row
from stages.lib.stats import Interval

ALL = "all"  # the name under which all topics together are reported
STEPS = 20  # thresholds of confidence from 0 to 1


@dataclass(frozen=True)
class Rates:
    """Accuracy, recalls and answer mass of some answers.

    Attributes
    ----------
    accuracy, recall_true, recall_false : Interval
        Fraction of correct answers on all, on true and on false statements.
    answer_mass : Interval
        Mean of P(true) + P(false).
    """

    accuracy: Interval
    recall_true: Interval
    recall_false: Interval
    answer_mass: Interval


def answer(statements: pl.DataFrame, readouts: pl.DataFrame) -> pl.DataFrame:
    """Join a persona's answers to the statements.

    Parameters
    ----------
    statements : DataFrame
        Columns of `tables.STATEMENTS`.
    readouts : DataFrame
        Columns of `tables.READOUTS`, for the same statements in the same order.

    Returns
    -------
    DataFrame
        statement_id, topic, label, subject, answer_mass, correct (whether the likelier answer is
        the label; a tie counts as the answer "false"), confidence (probability of the likelier
        answer) and margin (difference of the two probabilities).
    """
    p_true, p_false = readouts["p_true"], readouts["p_false"]
    return statements.select("statement_id", "topic", "label", "subject").with_columns(
        readouts["answer_mass"],
        correct=(p_true > p_false) == statements["label"],
        confidence=pl.select(pl.max_horizontal(p_true, p_false)).to_series(),
        margin=(p_true - p_false).abs(),
    )


def by_topic(table: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Split a table by topic: all rows under "all", then the rows of each topic by name."""
    names = table["topic"].unique().sort()
    return {ALL: table, **{name: table.filter(pl.col("topic") == name) for name in names}}


def threshold_rows(persona: str, answers: pl.DataFrame) -> list[Row]:
    """Accuracy of the answers whose confidence reaches a threshold, for thresholds 0, 0.05 … 1.

    Returns
    -------
    list of dict
        persona, threshold, accuracy, low, high, n; None where no answer reaches the threshold.

    References
    ----------
    The code of arXiv:2311.15131 counts an answer if P(true) or P(false) is above a threshold, so
    that both accuracy and the number of answers depend on it. Here an answer counts if its
    probability is at least the threshold.
    """
    rows: list[Row] = []
    for threshold in (step / STEPS for step in range(STEPS + 1)):
        confident_answers = answers.filter(pl.col("confidence").cast(pl.Float64) >= threshold)
        interval = stats.rate(
            confident_answers["correct"].to_numpy(), confident_answers["subject"].to_numpy()
        )
        rows.append({"persona": persona, "threshold": threshold, **interval.row("accuracy")})
    return rows


def rates(answers: pl.DataFrame) -> Rates:
    """Measure accuracy, recalls and answer mass of some rows of `answer`."""
    of_label = [answers.filter(label=label) for label in (True, False)]
    mass, subjects = answers["answer_mass"].to_numpy(), answers["subject"].to_numpy()
    return Rates(
        *(
            stats.rate(subset["correct"].to_numpy(), subset["subject"].to_numpy())
            for subset in (answers, *of_label)
        ),
        answer_mass=stats.mean(mass, subjects),
    )
