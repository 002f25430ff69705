"""Bootstrap over subjects: weights of statements, means in each draw, intervals of any estimate."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.stats import Interval


def weights(subject: NDArray[Any], random: np.random.Generator) -> NDArray[np.int64]:
    """Return how often each bootstrap draw takes each statement: (n_draws, n_statements).

    Parameters
    ----------
    subject : ndarray of shape (n_statements,)
        What each statement is about; a draw takes all statements of a subject equally often.
    random : Generator
        Source of the draws; equal seeds give equal draws.
    """
    _, index = np.unique(subject, return_inverse=True)
    return stats.draws(int(index.max()) + 1, random)[:, index]


def means(
    effects: NDArray[np.float64], subject: NDArray[Any], random: np.random.Generator
) -> NDArray[np.float64]:
    """Mean effect of each head in bootstrap draws of subjects: (n_draws, n_heads).

    Parameters
    ----------
    effects : ndarray of shape (n_heads, n_statements)
        One number per head and statement; at least one statement.
    subject : ndarray of shape (n_statements,)
        What each statement is about.
    random : Generator
        Source of the draws; equal seeds give equal draws.
    """
    _, index = np.unique(subject, return_inverse=True)
    n_subjects = int(index.max()) + 1
    sums = np.stack([np.bincount(index, row, n_subjects) for row in effects])
    counts = np.bincount(index, minlength=n_subjects)
    draw_counts = stats.draws(n_subjects, random)
    return (draw_counts @ sums.T) / (draw_counts @ counts)[:, None]


def interval(value: float, draws: NDArray[np.float64], subject: NDArray[Any]) -> Interval:
    """Give an estimate the interval of its bootstrap draws.

    Parameters
    ----------
    value : float
        The estimate on all statements.
    draws : ndarray of shape (n_draws,)
        The estimate in each draw of subjects.
    subject : ndarray of shape (n_statements,)
        What each statement is about.

    Returns
    -------
    Interval
        Between the expanded percentiles of `stats.difference`; n counts statements.
    """
    return Interval(float(value), *stats.bootstrapped(draws, len(np.unique(subject))), len(subject))
