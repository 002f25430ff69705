"""Accuracy of one probe, or the mean accuracy of several."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stages.lib import stats
from stages.lib.stats import Interval


def right(share: ArrayLike, subject: NDArray[Any]) -> Interval:
    """Interval of the accuracy of one probe, or of the mean accuracy of several probes.

    Parameters
    ----------
    share : array of shape (n_statements,)
        Fraction of the probes that are right on each statement: 0 or 1 for a single probe.
    subject : ndarray of shape (n_statements,)
        What each statement is about.

    Returns
    -------
    Interval
        `stats.rate` if all shares are 0 or 1, else `stats.mean`; `NOTHING` if a share is NaN.
    """
    values = np.asarray(share, dtype=np.float64)
    if np.isnan(values).any():
        return stats.NOTHING
    is_rate = bool(np.isin(values, (0.0, 1.0)).all())
    return stats.rate(values, subject) if is_rate else stats.mean(values, subject)
