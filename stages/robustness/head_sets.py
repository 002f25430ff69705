"""Head sets chosen by what each head does alone, and how much two sets have in common."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats as distributions

from stages.lib import stats
from stages.lib.stats import resample

Members = NDArray[np.bool_]


@dataclass(frozen=True)
class Singles:
    """What each head of a window does alone.

    Attributes
    ----------
    gain : ndarray of shape (n_heads, n_statements), float64
        Truth of the patched run minus that of the base run.
    split, subject : ndarray of shape (n_statements,), str
        Of each statement.
    """

    gain: NDArray[np.float64]
    split: NDArray[Any]
    subject: NDArray[Any]


def best(effects: NDArray[np.float64], size: int) -> Members:
    """The heads with the largest effects, the first ones where effects are equal.

    Parameters
    ----------
    effects : ndarray of shape (..., n_heads)
        Effect of each head.
    size : int
        How many heads to take.

    Returns
    -------
    ndarray of shape (..., n_heads), bool
    """
    order = np.argsort(-effects, axis=-1, kind="stable")[..., :size]
    members = np.zeros(effects.shape, bool)
    np.put_along_axis(members, order, True, axis=-1)
    return members


def by_group(singles: Singles, group: NDArray[Any], size: int) -> dict[str, Members]:
    """The best heads on the statements of each group: name of the group -> (n_heads,), bool."""
    return {
        str(name): best(singles.gain[:, group == name].mean(axis=1), size)
        for name in np.unique(group)
    }


def jaccard(a: Members, b: Members) -> NDArray[np.float64]:
    """Heads in both sets as a share of those in either; the last axis is that of heads."""
    return (a & b).sum(-1) / (a | b).sum(-1)


def by_chance(n_heads: int, size: int) -> float:
    """Expected Jaccard index of two sets of `size` heads drawn evenly from `n_heads`."""
    common = np.arange(size + 1)
    weight = distributions.hypergeom.pmf(common, n_heads, size, size)
    return float((weight * common / (2 * size - common)).sum())


def overlap(sets: list[Members]) -> dict[str, Any]:
    """Jaccard index over all pairs of sets: mean, least, greatest; None where there is no pair."""
    found = [float(jaccard(a, b)) for a, b in combinations(sets, 2)]
    if not found:
        return {"mean": None, "min": None, "max": None, "n_pairs": 0}
    return {
        "mean": float(np.mean(found)),
        "min": min(found),
        "max": max(found),
        "n_pairs": len(found),
    }


def resampled(singles: Singles, size: int, seed: int) -> dict[str, Any]:
    """Jaccard index of two sets chosen on two bootstrap draws of subjects, as another seed would.

    Parameters
    ----------
    singles : Singles
        At least one statement.
    size : int
        Heads in a set.
    seed : int
        Of the draws.

    Returns
    -------
    dict
        ``mean`` and the percentiles 2.5 and 97.5 of all pairs (``low``, ``high``): the spread of
        single pairs, no interval of the mean.
    """
    draws = resample.means(singles.gain, singles.subject, np.random.default_rng(seed))
    sets = best(draws, size)
    half = stats.DRAWS // 2
    found = jaccard(sets[:half], sets[half : 2 * half])
    low, high = np.quantile(found, [0.025, 0.975])
    return {
        "mean": float(found.mean()),
        "low": float(low),
        "high": float(high),
        "n_pairs": half,
    }


def shuffled(singles: Singles, size: int, n_shuffles: int, seed: int) -> dict[str, Any]:
    """Overlap of sets of splits if statements were dealt to splits at random, of the same sizes.

    Sets chosen on few statements differ by chance too: this is how much. Below it, what is best
    depends on the split.

    Parameters
    ----------
    singles : Singles
        Statements of at least two splits.
    size : int
        Heads in a set.
    n_shuffles : int
        How often to deal.
    seed : int
        Of the shuffles.

    Returns
    -------
    dict
        ``mean`` of the mean overlaps and percentiles 2.5 and 97.5 of them; ``p_value``: share of
        shuffles, the true splits among them, whose mean overlap is as low as the true one.
    """
    random = np.random.default_rng(seed)

    def mean(split: NDArray[Any]) -> float:
        return overlap(list(by_group(singles, split, size).values()))["mean"]

    found = np.array([mean(random.permutation(singles.split)) for _ in range(n_shuffles)])
    if not n_shuffles:
        return {"mean": None, "low": None, "high": None, "n_shuffles": 0, "p_value": None}
    low, high = np.quantile(found, [0.025, 0.975])
    as_low = 1 + int((found <= mean(singles.split) + 1e-12).sum())
    return {
        "mean": float(found.mean()),
        "low": float(low),
        "high": float(high),
        "n_shuffles": n_shuffles,
        "p_value": as_low / (1 + n_shuffles),
    }
