"""The share of right answers of one probe, or the mean share of several."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stages.lib import stats
from stages.lib.stats import Interval


def right(share: ArrayLike, subject: NDArray[Any]) -> Interval:
    """Interval of the mean share that is right.

    Parameters
    ----------
    share : array of shape (n_statements,)
        0 or 1 of one probe; between them, the share of several probes that is right.
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
