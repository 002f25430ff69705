"""Which statements the model knows, and rows and counts of what each persona answers."""

from typing import Any

import polars as pl

from stages.behaviour.config import BehaviourConfig
from stages.lib import stats
from stages.lib.model import readout
from stages.lib.stats.answer_rates import ALL, MEASURES, Measured, Rows


def accuracy_rows(persona: str, measured: Measured) -> Rows:
    """Rows of a plot table: persona, split, measure, value, low, high, n."""
    return [
        {"persona": persona, "split": split, "measure": name} | intervals[name].row()
        for split, intervals in measured.items()
        for name in MEASURES
    ]


def know(answers: pl.DataFrame, settings: BehaviourConfig) -> pl.DataFrame:
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


def _count(rows: pl.DataFrame) -> dict[str, int]:
    """Known statements, of how many."""
    return {"known": int(rows["known"].sum()), "n": len(rows)}
