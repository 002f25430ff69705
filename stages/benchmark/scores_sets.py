"""What head sets restore: areas under the curve of a method's order, and rival sets."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.benchmark.metrics import Rival
from stages.benchmark.schema import BASE, FIRST, RIVAL, SIZES, SOURCE, n_heads
from stages.lib import stats
from stages.lib.stats import NOTHING, Interval, resample
from stages.lib.stats import areas as curve_areas
from stages.lib.stats.ratios import ratios

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Gap:
    """Log-odds of the right answer of the liar, and those of the honest run above them.

    Attributes
    ----------
    base, whole : ndarray of shape (n_statements,)
        By statement, in nats.
    subject : ndarray of shape (n_statements,)
        What each statement is about.
    """

    base: Values
    whole: Values
    subject: NDArray[Any]

    @cached_property
    def advantage(self) -> Interval:
        """Mean of the gap."""
        return stats.difference(self.whole, np.zeros_like(self.whole), self.subject)

    @property
    def is_there(self) -> bool:
        """Whether the honest run has clearly higher log-odds."""
        return self.advantage.low is not None and self.advantage.low > 0


def gap(curves: pl.DataFrame) -> Gap:
    """Compare the two runs that are not patched."""
    base, source = (curves.filter(method=name).sort("statement_id") for name in (BASE, SOURCE))
    low, high = (table["log_odds"].to_numpy() for table in (base, source))
    return Gap(low, high - low, base["subject"].to_numpy())


def areas(
    curves: pl.DataFrame, of: Gap, method: str, n_all: int, seed: int = 0
) -> dict[str, Interval]:
    """CPR and CMD of a method, as in MIB.

    Parameters
    ----------
    curves : DataFrame
        With the columns of `CURVES`.
    of : Gap
        Of these curves.
    method : str
        Its name.
    n_all : int
        Heads of the model.
    seed : int
        Of the draws.

    Returns
    -------
    dict of str to Interval
        ``cpr`` and ``cmd``: areas, by trapezoids over the share of heads, of the share f of the
        honest log-odds above the liar's that the first heads restore, and of its distance |1 - f|
        from all of it; by bootstrap over subjects. Nothing where honest and liar run cannot be
        told apart, or no set of the method was patched.

    References
    ----------
    Mueller et al., MIB, arXiv:2504.13151.
    """
    if not of.is_there or curves.filter(method=method).is_empty():
        return {"cpr": NOTHING, "cmd": NOTHING}
    gained = np.array([_gained(curves, method, n_heads(s, n_all), of.base) for s in SIZES])
    drawn = resample.means(np.vstack([gained, of.whole]), of.subject, np.random.default_rng(seed))
    shares = np.vstack([np.append(gained.mean(axis=1), of.whole.mean()), drawn])
    shares = shares[:, :-1] / shares[:, -1:]  # (1 + n_draws, n_sizes)
    n_subjects = len(np.unique(of.subject))
    intervals: dict[str, Interval] = {}
    measured = curve_areas.measures(shares, SIZES)
    for name, area in (("cpr", measured["auc"]), ("cmd", measured["distance"])):
        low, high = stats.bootstrapped(area[1:], n_subjects)
        intervals[name] = Interval(float(area[0]), low, high, len(of.whole))
    return intervals


def rival(
    curves: pl.DataFrame, of: Gap, sets: dict[str, list[list[int]]], lying: NDArray[np.bool_]
) -> Rival | None:
    """What the first set and its rival restore; None where there are not both."""
    if FIRST not in sets or RIVAL not in sets or not of.is_there:
        return None
    gained = np.array([_gained(curves, name, None, of.base) for name in (FIRST, RIVAL)])
    first, other = ratios(gained, of.whole, of.subject)
    return Rival(
        first=sets[FIRST],
        rival=sets[RIVAL],
        first_restored=first,
        rival_restored=other,
        first_lying=_n_lying(sets[FIRST], lying),
        rival_lying=_n_lying(sets[RIVAL], lying),
    )


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
