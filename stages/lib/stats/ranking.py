"""How well a number per head tells some heads from all others."""

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
    """What a ranking of heads is worth where it is known which heads should be first.

    Attributes
    ----------
    auroc : Interval
        Area under the ROC curve: the chance that a true head ranks above another one. n counts
        heads.
    average_precision : float
        Area under the curve of precision and recall.
    before_first_wrong : int
        True heads that rank above every other head.
    n_true : int
        How many heads should be first.
    """

    auroc: Interval
    average_precision: float
    before_first_wrong: int
    n_true: int


def ranked(values: NDArray[np.float64], truth: NDArray[np.bool_], seed: int = 0) -> Ranked:
    """Score a ranking.

    Parameters
    ----------
    values : ndarray of shape (n_heads,)
        The larger, the higher a head ranks.
    truth : ndarray of shape (n_heads,), bool
        Heads that should be first: at least one, and not all.
    seed : int
        Of the draws.

    Returns
    -------
    Ranked
        Its interval is a bootstrap of 2,000 draws, each of as many true heads and as many others.

    References
    ----------
    Gupta et al., InterpBench, arXiv:2407.14494 (planted circuits as ground truth).
    """
    some = drawn(truth, stats.DRAWS, np.random.default_rng(seed))
    n_true = int(truth.sum())
    low, high = stats.bootstrapped(area(truth[some], values[some]), n_true)
    return Ranked(
        auroc=Interval(float(area(truth, values)), low, high, len(values)),
        average_precision=float(cast(Any, sklearn_metrics).average_precision_score(truth, values)),
        before_first_wrong=int((values[truth] > values[~truth].max()).sum()),
        n_true=n_true,
    )


def drawn(
    inside: NDArray[np.bool_], n_draws: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Draw heads with replacement, as many inside and as many outside as there are.

    Parameters
    ----------
    inside : ndarray of shape (n_heads,), bool
    n_draws : int
    random : Generator

    Returns
    -------
    ndarray of shape (n_draws, n_heads), int64
        Their numbers.
    """
    groups = [np.flatnonzero(inside), np.flatnonzero(~inside)]
    draws = [[random.choice(group, len(group)) for group in groups] for _ in range(n_draws)]
    return np.array([np.concatenate(draw) for draw in draws])


def area(inside: NDArray[np.bool_], effects: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area under the ROC curve: the chance that a head inside has more effect than one outside.

    Parameters
    ----------
    inside, effects : ndarray of shape (..., n_heads)
        Heads inside and outside; of two with the same effect each counts half.

    Returns
    -------
    ndarray of shape (...)
    """
    n_inside, n_outside = inside.sum(axis=-1), (~inside).sum(axis=-1)
    ranks = np.where(inside, cast(Any, scipy_stats).rankdata(effects, axis=-1), 0.0).sum(axis=-1)
    return (ranks - n_inside * (n_inside + 1) / 2) / (n_inside * n_outside)
