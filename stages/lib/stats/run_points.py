"""Accuracy and p_correct of a run, with their intervals: the numbers of a point of a plot."""

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
    """Accuracy and mean p_correct of a run; None for all but `n` where no statement counts.

    Attributes
    ----------
    accuracy, low, high : float or None
        With its interval.
    n : int
        Statements.
    p_correct, p_correct_low, p_correct_high : float or None
        With its interval.
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
        """Cut a plot's row down to its numbers."""
        numbers: dict[str, Any] = {field.name: row[field.name] for field in fields(cls)}
        return cls(**numbers)

    @property
    def rate(self) -> Interval:
        """The accuracy."""
        return Interval(self.accuracy, self.low, self.high, self.n)

    def row(self) -> Row:
        """Columns of a plot's row."""
        return asdict(self)


@dataclass(frozen=True)
class Difference:
    """One run minus another, statement by statement."""

    accuracy: Interval
    p_correct: Interval


@dataclass(frozen=True)
class ByLabel:
    """Accuracy on true and on false statements.

    An accuracy of 0.5 may be half of the answers right, or one answer to every statement.
    """

    true: Interval
    false: Interval


@dataclass(frozen=True)
class Count:
    """True and false statements."""

    true: int
    false: int


def count(table: pl.DataFrame) -> Count:
    """Count true and false statements."""
    true = int(table["label"].sum())
    return Count(true, len(table) - true)


def measure(
    pairs: PromptPairs, probabilities: np.ndarray, chosen: np.ndarray | None = None
) -> Point:
    """Accuracy and mean p_correct, each with its interval, of one run on some of the statements.

    Parameters
    ----------
    pairs : PromptPairs
        The statements.
    probabilities : ndarray of shape (n_statements, 2), float32
        P(true) and P(false).
    chosen : ndarray of shape (n_statements,), bool
        The statements that count; None takes all.

    Returns
    -------
    Point
    """
    keep = np.ones(len(pairs.label), bool) if chosen is None else chosen
    accuracy = stats.rate(patch.correct(probabilities, pairs.label)[keep], pairs.subject[keep])
    p_correct = stats.mean(patch.p_correct(probabilities, pairs.label)[keep], pairs.subject[keep])
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
    """Accuracy of a run on true and on false statements.

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
    """Accuracy and p_correct with each head alone, or left out, and the head's effect.

    Parameters
    ----------
    pairs : PromptPairs
        The statements.
    runs : DataFrame
        As `single_heads.pairs` takes them.
    kind : str
        ``alone`` or ``left_out``.

    Returns
    -------
    list of dict
        One row per head, layer by layer.
    """
    rows: list[Row] = []
    for head, present, absent in head_effects.pairs(runs, kind):
        own = measure(pairs, present if kind == head_effects.ALONE else absent)
        gained = effect(pairs, present, absent)
        rows.append({"measure": kind, **head._asdict(), **own.row(), **gained})
    return rows


def topics(pairs: Path) -> list[str]:
    """`ALL`, and every topic of a table of pairs, also one without a known statement."""
    return [ALL, *sorted(set(tables.read(pairs, tables.PAIRS)["topic"]))]


def of_topic(pairs: PromptPairs, topic: str) -> np.ndarray:
    """Whether each statement is of a topic, or of `ALL`: (n_statements,), bool."""
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

    def minus(measured: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Interval:
        """Of one measure."""
        first, second = (np.atleast_2d(measured(p, pairs.label)).mean(axis=0) for p in (a, b))
        return stats.difference(first, second, pairs.subject)

    return Difference(minus(patch.correct), minus(patch.p_correct))


def effect(pairs: PromptPairs, patched: np.ndarray, base: np.ndarray) -> dict[str, float | None]:
    """p_correct that one run has above another, with its interval, statement by statement.

    Parameters
    ----------
    pairs : PromptPairs
        The statements.
    patched, base : ndarray of shape (n_statements, 2), float32
        P(true) and P(false) of the two runs.

    Returns
    -------
    dict
        ``effect``, ``effect_low``, ``effect_high``; None where there is no statement.
    """
    gained = patch.p_correct(patched, pairs.label) - patch.p_correct(base, pairs.label)
    return beside("effect", stats.mean(gained, pairs.subject, (-1.0, 1.0)))


def beside(name: str, interval: Interval) -> dict[str, float | None]:
    """Columns of an estimate that stands in a row beside another one, whose n it has."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
