"""Accuracy and truth of a run, with their intervals: the numbers of a point of a plot."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from stages.lib import stats
from stages.lib.io import tables
from stages.lib.io.tables import Row
from stages.lib.patching import patch, single_heads
from stages.lib.patching.cases import Cases
from stages.lib.stats import Interval
from stages.lib.stats.answer_rates import ALL as ALL


@dataclass(frozen=True)
class Point:
    """Accuracy and mean truth of a run; None for all but `n` where no statement counts.

    Attributes
    ----------
    accuracy, low, high : float or None
        With its interval.
    n : int
        Statements.
    truth, truth_low, truth_high : float or None
        With its interval.
    """

    accuracy: float | None
    low: float | None
    high: float | None
    n: int
    truth: float | None
    truth_low: float | None
    truth_high: float | None

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
    truth: Interval


@dataclass(frozen=True)
class Count:
    """True and false statements."""

    true: int
    false: int


def count(table: pl.DataFrame) -> Count:
    """Count true and false statements."""
    true = int(table["label"].sum())
    return Count(true, len(table) - true)


def measure(cases: Cases, probabilities: np.ndarray, chosen: np.ndarray | None = None) -> Point:
    """Accuracy and mean truth, each with its interval, of one run on some of the statements.

    Parameters
    ----------
    cases : Cases
        The statements.
    probabilities : ndarray of shape (n_statements, 2), float32
        P(true) and P(false).
    chosen : ndarray of shape (n_statements,), bool
        The statements that count; None takes all.

    Returns
    -------
    Point
    """
    keep = np.ones(len(cases.label), bool) if chosen is None else chosen
    accuracy = stats.rate(patch.correct(probabilities, cases.label)[keep], cases.subject[keep])
    truth = stats.mean(patch.truth(probabilities, cases.label)[keep], cases.subject[keep])
    return Point(
        accuracy=accuracy.value,
        low=accuracy.low,
        high=accuracy.high,
        n=accuracy.n,
        truth=truth.value,
        truth_low=truth.low,
        truth_high=truth.high,
    )


def by_head(cases: Cases, runs: pl.DataFrame, kind: str) -> list[Row]:
    """Accuracy and truth with each head alone, or left out, and the truth that the head gains.

    Parameters
    ----------
    cases : Cases
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
    for head, present, absent in single_heads.pairs(runs, kind):
        own = measure(cases, present if kind == single_heads.ALONE else absent)
        gained = effect(cases, present, absent)
        rows.append({"measure": kind, **head._asdict(), **own.row(), **gained})
    return rows


def splits(pairs: Path) -> list[str]:
    """`ALL`, and every split of a table of pairs, also one without a known statement."""
    return [ALL, *sorted(set(tables.read(pairs, tables.PAIRS)["split"]))]


def of_split(cases: Cases, split: str) -> np.ndarray:
    """Whether each statement is of a split, or of `ALL`: (n_statements,), bool."""
    return (cases.table["split"] == split).to_numpy() | (split == ALL)


def difference(cases: Cases, a: np.ndarray, b: np.ndarray) -> Difference:
    """Compare two runs over the same statements.

    Parameters
    ----------
    cases : Cases
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
        first, second = (np.atleast_2d(measured(p, cases.label)).mean(axis=0) for p in (a, b))
        return stats.difference(first, second, cases.subject)

    return Difference(minus(patch.correct), minus(patch.truth))


def effect(cases: Cases, patched: np.ndarray, base: np.ndarray) -> dict[str, float | None]:
    """Truth that one run has above another, with its interval, statement by statement.

    Parameters
    ----------
    cases : Cases
        The statements.
    patched, base : ndarray of shape (n_statements, 2), float32
        P(true) and P(false) of the two runs.

    Returns
    -------
    dict
        ``effect``, ``effect_low``, ``effect_high``; None where there is no statement.
    """
    gained = patch.truth(patched, cases.label) - patch.truth(base, cases.label)
    return beside("effect", stats.mean(gained, cases.subject, (-1.0, 1.0)))


def beside(name: str, interval: Interval) -> dict[str, float | None]:
    """Columns of an estimate that stands in a row beside another one, whose n it has."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
