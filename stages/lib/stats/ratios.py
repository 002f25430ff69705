"""Parts as fractions of a whole, with bootstrap intervals over subjects."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.stats import Interval, resample


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
    draw_means = resample.means(rows, subject, np.random.default_rng(seed))
    n_subjects = len(np.unique(subject))
    shares = (draw_means[:, :-1] / draw_means[:, -1:]).T  # (n_parts, n_draws)
    return [
        Interval(float(value), *stats.bootstrapped(share, n_subjects), len(whole))
        for value, share in zip(parts.mean(axis=1) / whole.mean(), shares, strict=True)
    ]
