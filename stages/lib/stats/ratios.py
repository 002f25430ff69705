"""Parts as fractions of a whole, with bootstrap intervals over subjects."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.stats import NOTHING, Interval, bootstrap


def ratios(
    parts: NDArray[np.float64], whole: NDArray[np.float64], subject: NDArray[Any], seed: int = 0
) -> list[Interval]:
    """Divide the mean of each part by the mean of the whole, with intervals.

    Parameters
    ----------
    parts : ndarray of shape (n_parts, n_rows)
        For example the gains of several patches.
    whole : ndarray of shape (n_rows,)
        The whole; its mean must be clearly above or below 0 in every draw.
    subject : ndarray of shape (n_rows,)
        Subject of each row; a subject may have many rows.
    seed : int
        Seed of the draws, which are the same for all parts and the whole.

    Returns
    -------
    list of Interval, length n_parts
    """
    rows = np.concatenate([parts, whole[None]])
    draw_means = bootstrap.means(rows, subject, np.random.default_rng(seed))
    shares = (draw_means[:, :-1] / draw_means[:, -1:]).T  # (n_parts, n_draws)
    return [
        bootstrap.interval(value, share, subject)
        for value, share in zip(parts.mean(axis=1) / whole.mean(), shares, strict=True)
    ]


def recovered(
    gains: NDArray[np.float64],
    gap: NDArray[np.float64],
    subject: NDArray[Any],
    least: float = 0.0,
    seed: int = 0,
) -> list[Interval]:
    """Divide the mean gain of each run by the mean gap, where there is a gap to recover.

    Parameters
    ----------
    gains : ndarray of shape (n_runs, n_rows)
        What each run adds to the base run.
    gap : ndarray of shape (n_rows,)
        What the other run, such as the source run, is above the base run.
    subject : ndarray of shape (n_rows,)
        Subject of each row.
    least : float
        The interval of the mean gap must lie above this value: a fraction of a smaller gap is
        noise.
    seed : int
        Seed of the draws; see `ratios`.

    Returns
    -------
    list of Interval, length n_runs
        `NOTHING` where the gap is too small, or has fewer than six subjects.
    """
    if not stats.mean_difference(gap, subject).is_above(least):
        return [NOTHING] * len(gains)
    return ratios(gains, gap, subject, seed)
