"""Accuracy and truth of a run, with their intervals: the numbers of a point of a plot."""

from typing import Any

import numpy as np

from stages.lib import stats
from stages.lib.patching import patch
from stages.lib.patching.cases import Cases

POINT = ("accuracy", "low", "high", "n", "truth", "truth_low", "truth_high")


def point(
    cases: Cases, probabilities: np.ndarray, chosen: np.ndarray | None = None
) -> dict[str, Any]:
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
    dict
        The keys of `POINT`; None for all but `n` where no statement counts.
    """
    keep = np.ones(len(cases.label), bool) if chosen is None else chosen
    accuracy = stats.rate(patch.correct(probabilities, cases.label)[keep], cases.subject[keep])
    truth = stats.mean(patch.truth(probabilities, cases.label)[keep], cases.subject[keep])
    return {**accuracy.row("accuracy"), **beside("truth", truth)}


def effect(cases: Cases, patched: np.ndarray, base: np.ndarray) -> dict[str, Any]:
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


def beside(name: str, interval: stats.Interval) -> dict[str, float | None]:
    """Columns of an estimate that stands in a row beside another one, whose n it has."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def numbers(row: dict[str, Any]) -> dict[str, Any]:
    """Cut a plot's row down to its numbers."""
    return {key: row[key] for key in POINT}
