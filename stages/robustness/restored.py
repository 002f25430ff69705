"""How much of the truth that separates two runs a patch gives back, with paired intervals."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stages.lib import stats
from stages.lib.stats import Interval, resample

LEAST_GAP = 0.1  # of truth between source and base run: with less, a share of it is noise


def shares(
    gains: Mapping[str, ArrayLike], gap: ArrayLike, subject: NDArray, seed: int = 0
) -> dict[str, Interval]:
    """Mean gain over mean gap, with an interval that draws subjects for both at once.

    Parameters
    ----------
    gains : dict of str to array of shape (n_rows,)
        What is to be told as a share: for example truth of a patched run minus that of the base
        run. All of them see the same draws, so that a difference of two gains is paired.
    gap : array of shape (n_rows,)
        Truth of the source run minus that of the base run.
    subject : ndarray of shape (n_rows,)
        What each row's statement is about; a subject may stand in many rows.
    seed : int
        Of the draws.

    Returns
    -------
    dict of str to Interval
        No value where the gap is not surely above `LEAST_GAP`: there is no lie to undo.
    """
    whole = np.asarray(gap, dtype=np.float64)
    reach = stats.difference(whole, np.zeros_like(whole), subject)
    if reach.low is None or reach.low < LEAST_GAP:
        return dict.fromkeys(gains, Interval(None, None, None, reach.n))
    rows = np.stack([*(np.asarray(gain, dtype=np.float64) for gain in gains.values()), whole])
    drawn = resample.means(rows, subject, np.random.default_rng(seed))
    ratios = drawn[:, :-1] / drawn[:, -1:]
    n_subjects = len(np.unique(subject))
    return {
        name: Interval(
            float(row.mean() / whole.mean()), *stats.bootstrapped(ratio, n_subjects), reach.n
        )
        for name, row, ratio in zip(gains, rows, ratios.T, strict=False)
    }
