"""Means over statements in bootstrap draws of subjects, many rows at a time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.lib import stats


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
