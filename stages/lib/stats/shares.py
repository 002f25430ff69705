"""Accuracy of one probe, or the mean accuracy of several."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stages.lib import stats
from stages.lib.stats import Interval


def right(share: ArrayLike, subject: NDArray[Any]) -> Interval:
    """Interval of the mean fraction that is right.

    Parameters
    ----------
    share : array of shape (n_statements,)
        0 or 1 for one probe; in between, the fraction of several probes that are right.
    subject : ndarray of shape (n_statements,)
        What each statement is about.

    Returns
    -------
    Interval
        `stats.rate` of 0 and 1, else `stats.mean`. Nothing where a share is NaN.
    """
    values = np.asarray(share, dtype=np.float64)
    if np.isnan(values).any():
        return stats.NOTHING
    is_rate = bool(np.isin(values, (0.0, 1.0)).all())
    return stats.rate(values, subject) if is_rate else stats.mean(values, subject)
