"""Log-odds that head sets restore: areas under each method's curve, and rival sets."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.benchmark.metrics import Rival
from stages.benchmark.schema import BASE, FIRST, RIVAL, SIZES, SOURCE, n_heads
from stages.lib import stats
from stages.lib.stats import NOTHING, Interval, auc, bootstrap
from stages.lib.stats.ratios import ratios

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Gap:
    """The liar's log-odds of the right answer, and the gap up to those of the honest run.

    Attributes
    ----------
    base, width : ndarray of shape (n_statements,)
        The liar's log-odds, and the honest run's minus the liar's, in nats.
    subject : ndarray of shape (n_statements,)
        What each statement is about.
    """

    base: Values
    width: Values
    subject: NDArray[Any]

    @cached_property
    def advantage(self) -> Interval:
        """Mean width of the gap, with its interval."""
        return stats.mean_difference(self.width, self.subject)

    @property
    def is_there(self) -> bool:
        """Whether the honest run has clearly higher log-odds."""
        return self.advantage.is_above(0)


def gap(curves: pl.DataFrame) -> Gap:
    """Measure the gap between the two unpatched runs."""
    base, source = (curves.filter(method=name).sort("statement_id") for name in (BASE, SOURCE))
    low, high = (table["log_odds"].to_numpy() for table in (base, source))
    return Gap(low, high - low, base["subject"].to_numpy())


def areas(
    curves: pl.DataFrame, run_gap: Gap, method: str, n_all: int, seed: int = 0
) -> dict[str, Interval]:
    """Compute CPR and CMD of a method, as in MIB.

    Parameters
    ----------
    curves : DataFrame
        With the columns of `CURVES`.
    run_gap : Gap
        Gap of these curves.
    method : str
        Name of the method.
    n_all : int
        Heads of the model.
    seed : int
        Seed of the draws.

    Returns
    -------
    dict of str to Interval
        With f the share of the log-odds gap that the top heads restore: ``cpr`` is the area under
        f, and ``cmd`` that under |1 - f|, by trapezoids over the share of heads. Intervals are by
        bootstrap over subjects. Null where the honest run is not clearly above the liar's, or no
        set of the method was patched.

    References
    ----------
    Mueller et al., MIB, arXiv:2504.13151.
    """
    if not run_gap.is_there or curves.filter(method=method).is_empty():
        return {"cpr": NOTHING, "cmd": NOTHING}
    gains = np.array([_gains(curves, method, n_heads(s, n_all), run_gap.base) for s in SIZES])
    drawn_means = bootstrap.means(
        np.vstack([gains, run_gap.width]), run_gap.subject, np.random.default_rng(seed)
    )
    shares = np.vstack([np.append(gains.mean(axis=1), run_gap.width.mean()), drawn_means])
    shares = shares[:, :-1] / shares[:, -1:]  # (1 + n_draws, n_sizes)
    measured = auc.measures(shares, SIZES)
    return {
        name: bootstrap.interval(area[0], area[1:], run_gap.subject)
        for name, area in (("cpr", measured["auc"]), ("cmd", measured["distance"]))
    }


def rival(
    curves: pl.DataFrame, run_gap: Gap, sets: dict[str, list[list[int]]], lying: NDArray[np.bool_]
) -> Rival | None:
    """Score the first set and its rival; None where either set or the gap is missing."""
    if FIRST not in sets or RIVAL not in sets or not run_gap.is_there:
        return None
    gains = np.array([_gains(curves, name, None, run_gap.base) for name in (FIRST, RIVAL)])
    first, other = ratios(gains, run_gap.width, run_gap.subject)
    return Rival(
        first=sets[FIRST],
        rival=sets[RIVAL],
        first_recovered=first,
        rival_recovered=other,
        first_lying=_n_lying(sets[FIRST], lying),
        rival_lying=_n_lying(sets[RIVAL], lying),
    )


def _gains(curves: pl.DataFrame, method: str, size: int | None, base: Values) -> Values:
    """Gain in log-odds of a set, by statement."""
    if size == 0:
        return np.zeros_like(base)
    rows = curves.filter(method=method)
    rows = rows if size is None else rows.filter(n_heads=size)
    return rows.sort("statement_id")["log_odds"].to_numpy() - base


def _n_lying(heads: list[list[int]], lying: NDArray[np.bool_]) -> int:
    """Heads of a set whose weights were changed."""
    return int(lying[tuple(np.transpose(heads))].sum())
