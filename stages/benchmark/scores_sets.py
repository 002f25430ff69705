"""What head sets restore: areas under the curve of a method's order, and rival sets."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.benchmark.metrics import Rival
from stages.benchmark.schema import BASE, FIRST, RIVAL, SIZES, SOURCE, n_heads
from stages.lib import stats
from stages.lib.stats import NOTHING, Interval, resample
from stages.lib.stats.ratios import ratios

Values = NDArray[np.float64]


def areas(
    curves: pl.DataFrame, method: str, n_all: int, seed: int = 0
) -> tuple[Interval, Interval]:
    """CPR and CMD of a method, as in MIB.

    Parameters
    ----------
    curves : DataFrame
        With the columns of `CURVES`.
    method : str
        Its name.
    n_all : int
        Heads of the model.
    seed : int
        Of the draws.

    Returns
    -------
    pair of Interval
        Areas, by trapezoids over the share of heads, of the share f of the honest log-odds above
        the liar's that the first heads restore, and of its distance |1 - f| from all of it; by
        bootstrap over subjects. Nothing where honest and liar run cannot be told apart.

    References
    ----------
    Mueller et al., MIB, arXiv:2504.13151.
    """
    base, whole, subject = own(curves)
    if not _apart(whole, subject):
        return NOTHING, NOTHING
    gained = np.array([_gained(curves, method, n_heads(s, n_all), base) for s in SIZES])
    drawn = resample.means(np.vstack([gained, whole]), subject, np.random.default_rng(seed))
    shares = np.vstack([np.append(gained.mean(axis=1), whole.mean()), drawn])
    shares = shares[:, :-1] / shares[:, -1:]  # (1 + n_draws, n_sizes)
    n_subjects = len(np.unique(subject))
    intervals: list[Interval] = []
    for heights in (shares, np.abs(1 - shares)):
        area = np.asarray(np.trapezoid(heights, SIZES, axis=1))
        low, high = stats.bootstrapped(area[1:], n_subjects)
        intervals.append(Interval(float(area[0]), low, high, len(whole)))
    return intervals[0], intervals[1]


def rival(
    curves: pl.DataFrame, sets: dict[str, list[list[int]]], lying: NDArray[np.bool_]
) -> Rival | None:
    """What the first set and its rival restore; None where there are not both."""
    base, whole, subject = own(curves)
    if FIRST not in sets or RIVAL not in sets or not _apart(whole, subject):
        return None
    gained = np.array([_gained(curves, name, None, base) for name in (FIRST, RIVAL)])
    first, other = ratios(gained, whole, subject)
    return Rival(
        first=sets[FIRST],
        rival=sets[RIVAL],
        first_restored=first,
        rival_restored=other,
        first_lying=_n_lying(sets[FIRST], lying),
        rival_lying=_n_lying(sets[RIVAL], lying),
    )


def own(curves: pl.DataFrame) -> tuple[Values, Values, NDArray[Any]]:
    """Log-odds of the liar, those of the honest run above them, and subjects."""
    base, source = (curves.filter(method=name).sort("statement_id") for name in (BASE, SOURCE))
    low, high = (table["log_odds"].to_numpy() for table in (base, source))
    return low, high - low, base["subject"].to_numpy()


def _apart(whole: Values, subject: NDArray[Any]) -> bool:
    """Whether the honest run has clearly higher log-odds."""
    low = stats.difference(whole, np.zeros_like(whole), subject).low
    return low is not None and low > 0


def _gained(curves: pl.DataFrame, method: str, size: int | None, base: Values) -> Values:
    """Log-odds that a set adds, by statement."""
    if size == 0:
        return np.zeros_like(base)
    rows = curves.filter(method=method)
    rows = rows if size is None else rows.filter(n_heads=size)
    return rows.sort("statement_id")["log_odds"].to_numpy() - base


def _n_lying(heads: list[list[int]], lying: NDArray[np.bool_]) -> int:
    """Heads of a set whose weights lie."""
    return int(lying[tuple(np.transpose(heads))].sum())
