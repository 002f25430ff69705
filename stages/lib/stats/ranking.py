"""How well one number per head separates a set of heads from all other heads."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import scipy.stats as scipy_stats  # pyright: ignore[reportMissingTypeStubs]
import sklearn.metrics as sklearn_metrics  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.stats import Interval


@dataclass(frozen=True)
class Ranked:
    """Quality of a ranking of heads for which the true heads are known.

    Attributes
    ----------
    auroc : Interval
        Area under the ROC curve: the probability that a true head ranks above one of the other
        heads. n counts heads.
    average_precision : float
        Area under the precision-recall curve.
    before_first_wrong : int
        True heads that rank above every other head.
    n_true : int
        Number of true heads.
    """

    auroc: Interval
    average_precision: float
    before_first_wrong: int
    n_true: int


def ranked(values: NDArray[np.float64], truth: NDArray[np.bool_], seed: int = 0) -> Ranked:
    """Score a ranking of heads against the true heads.

    Parameters
    ----------
    values : ndarray of shape (n_heads,)
        One number per head; a larger number ranks higher.
    truth : ndarray of shape (n_heads,), bool
        The true heads: at least one, and not all.
    seed : int
        Seed of the draws.

    Returns
    -------
    Ranked
        Its interval is a bootstrap of 2,000 draws, each with as many true and as many other heads.
        Of fewer than six true heads it has no ends (see `stats.bootstrapped`).

    References
    ----------
    Gupta et al., InterpBench, arXiv:2407.14494 (planted circuits as ground truth).
    """
    head_ids = draw_heads(truth, stats.DRAWS, np.random.default_rng(seed))
    n_true = int(truth.sum())
    low, high = stats.bootstrapped(area(truth[head_ids], values[head_ids]), n_true)
    return Ranked(
        auroc=Interval(float(area(truth, values)), low, high, len(values)),
        average_precision=float(cast(Any, sklearn_metrics).average_precision_score(truth, values)),
        before_first_wrong=int((values[truth] > values[~truth].max()).sum()),
        n_true=n_true,
    )


def draw_heads(
    in_set: NDArray[np.bool_], n_draws: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Draw heads with replacement, as many in the set and as many outside it as there are.

    Parameters
    ----------
    in_set : ndarray of shape (n_heads,), bool
        Whether each head is in the set.
    n_draws : int
    random : Generator

    Returns
    -------
    ndarray of shape (n_draws, n_heads), int64
        Indices of heads.
    """
    groups = [np.flatnonzero(in_set), np.flatnonzero(~in_set)]
    draws = [[random.choice(group, len(group)) for group in groups] for _ in range(n_draws)]
    return np.array([np.concatenate(draw) for draw in draws])


def area(in_set: NDArray[np.bool_], effects: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area under the ROC curve: probability that a head in the set has the larger effect.

    Parameters
    ----------
    in_set, effects : ndarray of shape (..., n_heads)
        Whether each head is in the set, and its effect; ties count half.

    Returns
    -------
    ndarray of shape (...)
    """
    n_inside, n_outside = in_set.sum(axis=-1), (~in_set).sum(axis=-1)
    ranks = np.where(in_set, cast(Any, scipy_stats).rankdata(effects, axis=-1), 0.0).sum(axis=-1)
    return (ranks - n_inside * (n_inside + 1) / 2) / (n_inside * n_outside)


def jaccard(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return heads in both sets as a fraction of heads in either; the last axis is heads."""
    return (a & b).sum(-1) / (a | b).sum(-1)
