"""The statements that the model knows, and rows and counts of each persona's rates."""

import polars as pl

from stages.behaviour.config import BehaviourConfig
from stages.behaviour.metrics import FirstToken, Known, KnownByLabel
from stages.lib import stats
from stages.lib.io.tables import Row
from stages.lib.model import readout
from stages.lib.stats.answer_rates import Rates, by_topic


def accuracy_rows(persona: str, rates_of_topic: dict[str, Rates]) -> list[Row]:
    """Make the rows of accuracy.json: persona, topic, measure, value, low, high, n."""
    return [
        {"persona": persona, "topic": topic, "measure": name, **interval.row()}
        for topic, rates in rates_of_topic.items()
        for name, interval in vars(rates).items()
    ]


def know(answers: pl.DataFrame, settings: BehaviourConfig) -> pl.DataFrame:
    """Decide by the neutral persona's answers which statements the model knows.

    Returns
    -------
    DataFrame
        Columns of `tables.KNOWN`: `known` is true if the answer is right, and its margin and answer
        mass are above the settings. There are no other columns: a new wording that changes answers,
        but not the known statements, then reruns no patching.

    References
    ----------
    The code of arXiv:2311.15131 keeps the statements that a smaller model (LLaMA-2-7b-chat) answers
    rightly with probability above 0.85. Here the model itself decides, under a persona that is not
    reported on: it would be circular to filter by answers that are then scored.
    """
    is_clear = pl.col("margin").cast(pl.Float64) > settings.known_margin
    has_mass = pl.col("answer_mass").cast(pl.Float64) > settings.known_answer_mass
    known = pl.col("correct") & is_clear & has_mass
    return answers.select("statement_id", known.alias("known"))


def count_known(answers: pl.DataFrame, known: pl.DataFrame) -> dict[str, KnownByLabel]:
    """Count the known statements, by topic."""
    table = answers.select("topic", "label", known["known"])
    return {
        topic: KnownByLabel(
            both=_count(rows),
            true=_count(rows.filter(label=True)),
            false=_count(rows.filter(label=False)),
        )
        for topic, rows in by_topic(table).items()
    }


def first_token(tokens: pl.Series, subjects: pl.Series) -> FirstToken:
    """Find the token that is most often the most probable first one, and its share of prompts.

    Parameters
    ----------
    tokens, subjects : Series of str
        One row per statement.
    """
    token, _ = readout.most_common(tokens)
    share = stats.rate((tokens == token).to_numpy(), subjects.to_numpy())
    return FirstToken(**vars(share), token=token)


def _count(rows: pl.DataFrame) -> Known:
    """Count the known statements and all statements."""
    return Known(int(rows["known"].sum()), len(rows))
