"""Accuracy and p_correct of a run with intervals: the numbers of one point in a plot."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from stages.lib import stats
from stages.lib.io import tables
from stages.lib.io.tables import Row
from stages.lib.patching import head_effects, patch
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import Interval, shares
from stages.lib.stats.answer_rates import ALL as ALL


@dataclass(frozen=True)
class Point:
    """Accuracy and mean p_correct of a run; without statements all but `n` are None.

    Attributes
    ----------
    accuracy, low, high : float or None
        Accuracy and its interval.
    n : int
        Number of statements.
    p_correct, p_correct_low, p_correct_high : float or None
        Mean p_correct and its interval.
    """

    accuracy: float | None
    low: float | None
    high: float | None
    n: int
    p_correct: float | None
    p_correct_low: float | None
    p_correct_high: float | None

    @classmethod
    def of(cls, row: Row) -> Self:
        """Take the point's columns from a row of a plot table."""
        numbers: dict[str, Any] = {field.name: row[field.name] for field in fields(cls)}
        return cls(**numbers)

    @property
    def rate(self) -> Interval:
        """Accuracy as an interval."""
        return Interval(self.accuracy, self.low, self.high, self.n)

    def row(self) -> Row:
        """Return the point as columns of a plot table."""
        return asdict(self)


@dataclass(frozen=True)
class Difference:
    """One run minus another, statement by statement."""

    accuracy: Interval
    p_correct: Interval


@dataclass(frozen=True)
class ByLabel:
    """Accuracy on true and on false statements.

    An accuracy of 0.5 can be half of the answers right on each label, or one answer to everything.
    """

    true: Interval
    false: Interval


@dataclass(frozen=True)
class Count:
    """Number of true and of false statements."""

    true: int
    false: int


def count(table: pl.DataFrame) -> Count:
    """Count true and false statements."""
    true = int(table["label"].sum())
    return Count(true, len(table) - true)


def measure(
    pairs: PromptPairs, probabilities: np.ndarray, chosen: np.ndarray | None = None
) -> Point:
    """Measure accuracy and mean p_correct of a run, with intervals, on some of its statements.

    Parameters
    ----------
    pairs : PromptPairs
        The statements.
    probabilities : ndarray of shape (n_statements, 2), float32
        P(true) and P(false).
    chosen : ndarray of shape (n_statements,), bool
        The statements to measure on; None takes all.

    Returns
    -------
    Point
    """
    mask = np.ones(len(pairs.label), bool) if chosen is None else chosen
    accuracy = stats.rate(patch.correct(probabilities, pairs.label)[mask], pairs.subject[mask])
    p_correct = stats.mean(patch.p_correct(probabilities, pairs.label)[mask], pairs.subject[mask])
    return Point(
        accuracy=accuracy.value,
        low=accuracy.low,
        high=accuracy.high,
        n=accuracy.n,
        p_correct=p_correct.value,
        p_correct_low=p_correct.low,
        p_correct_high=p_correct.high,
    )


def by_label(pairs: PromptPairs, probabilities: np.ndarray) -> ByLabel:
    """Measure the accuracy of a run on true and on false statements.

    Parameters
    ----------
    pairs : PromptPairs
        The statements.
    probabilities : ndarray of shape (n_statements, 2) or (n_draws, n_statements, 2), float32
        P(true) and P(false). Draws of a run are averaged, statement by statement.

    Returns
    -------
    ByLabel
    """
    right = np.atleast_2d(patch.correct(probabilities, pairs.label)).mean(axis=0)
    rates = (
        shares.right(right[pairs.label == label], pairs.subject[pairs.label == label])
        for label in (True, False)
    )
    return ByLabel(*rates)


def by_head(pairs: PromptPairs, runs: pl.DataFrame, kind: str) -> list[Row]:
    """Measure accuracy and p_correct with each head alone or left out, and each head's effect.

    Parameters
    ----------
    pairs : PromptPairs
        The statements.
    runs : DataFrame
        As `head_effects.pairs` takes them.
    kind : str
        ``alone`` or ``left_out``.

    Returns
    -------
    list of dict
        One row per head, layer by layer.
    """
    rows: list[Row] = []
    for head, present, absent in head_effects.pairs(runs, kind):
        point = measure(pairs, present if kind == head_effects.ALONE else absent)
        gained = effect(pairs, present, absent)
        rows.append({"measure": kind, **head._asdict(), **point.row(), **gained})
    return rows


def topics(pairs: Path) -> list[str]:
    """List `ALL` and every topic of a table of pairs, also topics without a known statement."""
    return [ALL, *sorted(set(tables.read(pairs, tables.PAIRS)["topic"]))]


def of_topic(pairs: PromptPairs, topic: str) -> np.ndarray:
    """Whether each statement belongs to a topic (`ALL`: every one): (n_statements,), bool."""
    return (pairs.table["topic"] == topic).to_numpy() | (topic == ALL)


def difference(pairs: PromptPairs, a: np.ndarray, b: np.ndarray) -> Difference:
    """Compare two runs over the same statements.

    Parameters
    ----------
    pairs : PromptPairs
        The statements.
    a, b : ndarray of shape (n_statements, 2) or (n_draws, n_statements, 2), float32
        P(true) and P(false) of the two runs. Draws of a run are averaged, statement by statement.

    Returns
    -------
    Difference
        `a` minus `b`.
    """

    def minus(statistic: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Interval:
        """Difference of one measure."""
        first, second = (np.atleast_2d(statistic(p, pairs.label)).mean(axis=0) for p in (a, b))
        return stats.difference(first, second, pairs.subject)

    return Difference(minus(patch.correct), minus(patch.p_correct))


def effect(pairs: PromptPairs, patched: np.ndarray, base: np.ndarray) -> dict[str, float | None]:
    """Mean difference in p_correct between two runs, paired by statement, with its interval.

    Parameters
    ----------
    pairs : PromptPairs
        The statements.
    patched, base : ndarray of shape (n_statements, 2), float32
        P(true) and P(false) of the two runs.

    Returns
    -------
    dict
        ``effect``, ``effect_low``, ``effect_high``; None without statements.
    """
    gained = patch.p_correct(patched, pairs.label) - patch.p_correct(base, pairs.label)
    return beside("effect", stats.mean(gained, pairs.subject, (-1.0, 1.0)))


def beside(name: str, interval: Interval) -> dict[str, float | None]:
    """Columns for a second estimate in a row; it shares n with the first estimate."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
