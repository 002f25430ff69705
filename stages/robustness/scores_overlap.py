"""How much two head sets have in common, and how much sets chosen by chance would."""

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats as distributions

from stages.lib import stats
from stages.lib.stats import resample
from stages.robustness import head_sets
from stages.robustness.head_sets import SPLIT, WORDING, HeadSet, Members, Singles


def pairs(sets: list[HeadSet]) -> list[dict[str, Any]]:
    """Jaccard index of every pair of sets: rows of plots/robustness/overlap.json."""
    return [
        {
            "first_chosen_on": a.chosen_on,
            "first": a.name,
            "second_chosen_on": b.chosen_on,
            "second": b.name,
            "jaccard": float(jaccard(a.members, b.members)),
            "n": len(a.heads),
        }
        for a in sets
        for b in sets
    ]


def numbers(sets: list[HeadSet], own: Singles, n_shuffles: int, seed: int) -> dict[str, Any]:
    """Overlap of sets chosen on different splits, wordings and draws of subjects.

    Parameters
    ----------
    sets : list of HeadSet
        All sets.
    own : Singles
        Of the default wording.
    n_shuffles, seed : int
        Of the control for splits, and of all draws.
    """
    if not sets or not own.gain.size:
        return {SPLIT: None, WORDING: None, "seed": None}
    size = len(sets[0].heads)
    members = {kind: [s.members for s in sets if s.chosen_on == kind] for kind in (SPLIT, WORDING)}
    by_split = overlap(members[SPLIT])
    if by_split["n_pairs"]:
        by_split["shuffled"] = shuffled(own, size, n_shuffles, seed)
    return {
        SPLIT: by_split,
        WORDING: overlap(members[WORDING]),
        "seed": resampled(own, size, seed),
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
    sets = head_sets.best(draws, size)
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
        return overlap(list(head_sets.by_group(singles, split, size).values()))["mean"]

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
