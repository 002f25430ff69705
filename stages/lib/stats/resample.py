"""Means over statements in bootstrap draws of subjects, many rows at a time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.lib import stats


def means(
    effects: NDArray[np.float64], subject: NDArray[Any], random: np.random.Generator
) -> NDArray[np.float64]:
    """Mean effect of each head, (draws, n_heads), in draws of as many subjects as there are.

    Parameters
    ----------
    effects : ndarray of shape (n_heads, n_statements)
        Any number for each head and statement; at least one statement.
    subject : ndarray of shape (n_statements,)
        What each statement is about.
    random : Generator
        One of the same seed gives the same draws.
    """
    _, index = np.unique(subject, return_inverse=True)
    n_subjects = int(index.max()) + 1
    sums = np.stack([np.bincount(index, row, n_subjects) for row in effects])
    counts = np.bincount(index, minlength=n_subjects)
    drawn = stats.draws(n_subjects, random)
    return (drawn @ sums.T) / (drawn @ counts)[:, None]
