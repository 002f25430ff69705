"""Which statements the model knows, and each persona's rates as rows and counts."""

import polars as pl

from stages.behaviour.config import BehaviourConfig
from stages.behaviour.metrics import FirstToken, Known, KnownByLabel
from stages.lib import stats
from stages.lib.model import readout
from stages.lib.stats.answer_rates import Rates, Rows, by_topic


def accuracy_rows(persona: str, measured: dict[str, Rates]) -> Rows:
    """Rows of a plot table: persona, topic, measure, value, low, high, n."""
    return [
        {"persona": persona, "topic": topic, "measure": name, **interval.row()}
        for topic, rates in measured.items()
        for name, interval in vars(rates).items()
    ]


def know(answers: pl.DataFrame, settings: BehaviourConfig) -> pl.DataFrame:
    """Decide which statements the model knows, from the neutral persona's answers.

    Returns
    -------
    DataFrame
        Columns of `tables.KNOWN`: known is true where the answer is right, with margin and
        answer_mass above the settings'. Nothing else, so that a rewording which changes what the
        model says but not what it knows reruns no patching.

    References
    ----------
    The code of arXiv:2311.15131 keeps what a smaller model (LLaMA-2-7b-chat) answers rightly with
    probability above 0.85. Here the model itself decides, under a persona that is not reported on:
    filtering by an answer that is then scored would be circular.
    """
    clear = pl.col("margin").cast(pl.Float64) > settings.known_margin
    meant = pl.col("answer_mass").cast(pl.Float64) > settings.known_answer_mass
    known = pl.col("correct") & clear & meant
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
    """Most frequent of the most probable first tokens, and the fraction of prompts it leads.

    Parameters
    ----------
    tokens, subjects : Series of str
        One row per statement.
    """
    token, _ = readout.common(tokens)
    share = stats.rate((tokens == token).to_numpy(), subjects.to_numpy())
    return FirstToken(**vars(share), token=token)


def _count(rows: pl.DataFrame) -> Known:
    """Numbers of known statements and of all statements."""
    return Known(int(rows["known"].sum()), len(rows))
