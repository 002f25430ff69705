"""Overlap of two head sets, and the overlap expected by chance."""

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats as distributions

from stages.lib import stats
from stages.lib.io.tables import Row
from stages.lib.patching import patch
from stages.lib.stats import bootstrap, ranking
from stages.robustness import head_sets
from stages.robustness.head_sets import TOPIC, WORDING, Members, NamedSet, Singles
from stages.robustness.metrics import Overlap, Overlaps, Resampled, Shuffled, ShuffledOverlap


def pairs(sets: list[NamedSet]) -> list[Row]:
    """Return the rows of plots/robustness/overlap.json: Jaccard index of every pair of sets."""
    return [
        {
            "first_chosen_on": a.chosen_on,
            "first": a.name,
            "second_chosen_on": b.chosen_on,
            "second": b.name,
            "jaccard": float(ranking.jaccard(a.members, b.members)),
            "n": len(a.heads),
        }
        for a in sets
        for b in sets
    ]


def numbers(sets: list[NamedSet], default_singles: Singles, n_shuffles: int, seed: int) -> Overlaps:
    """Measure the overlap of sets chosen on different topics, wordings and draws of subjects.

    Parameters
    ----------
    sets : list of NamedSet
        All sets.
    default_singles : Singles
        Gains of single heads in the default wording.
    n_shuffles, seed : int
        Shuffles of the control for topics, and seed of all draws.
    """
    if not sets or not default_singles.gain.size:
        return Overlaps(None, None, None)
    size = len(sets[0].heads)
    topic_overlap, wording_overlap = (
        overlap([head_set.members for head_set in sets if head_set.chosen_on == kind])
        for kind in (TOPIC, WORDING)
    )
    if topic_overlap.n_pairs:
        control = shuffled(default_singles, size, n_shuffles, seed)
        topic_overlap = ShuffledOverlap(**vars(topic_overlap), shuffled=control)
    return Overlaps(topic_overlap, wording_overlap, resampled(default_singles, size, seed))


def by_chance(n_heads: int, size: int) -> float:
    """Return the expected Jaccard index of two uniform draws of `size` from `n_heads` heads."""
    common = np.arange(size + 1)
    weight = distributions.hypergeom.pmf(common, n_heads, size, size)
    return float((weight * common / (2 * size - common)).sum())


def overlap(sets: list[Members]) -> Overlap:
    """Return the mean, least and greatest Jaccard index of pairs of sets; None without a pair."""
    similarity = [float(ranking.jaccard(a, b)) for a, b in combinations(sets, 2)]
    if not similarity:
        return Overlap(None, None, None, 0)
    return Overlap(float(np.mean(similarity)), min(similarity), max(similarity), len(similarity))


def resampled(singles: Singles, size: int, seed: int) -> Resampled:
    """Return the Jaccard index of sets chosen on two bootstrap draws of subjects.

    Parameters
    ----------
    singles : Singles
        Gains on at least one statement.
    size : int
        Heads per set.
    seed : int
        Seed of the draws.
    """
    draws = bootstrap.means(singles.gain, singles.subject, np.random.default_rng(seed))
    sets = patch.largest(draws, size)
    half = stats.DRAWS // 2
    similarity = ranking.jaccard(sets[:half], sets[half : 2 * half])
    return Resampled(float(similarity.mean()), *stats.percentiles(similarity), half)


def shuffled(singles: Singles, size: int, n_shuffles: int, seed: int) -> Shuffled:
    """Measure the overlap of sets of topics after permutation of the topic labels.

    Sets chosen on few statements differ by chance too. If the overlap of the true topics is below
    this control, the best heads depend on the topic.

    Parameters
    ----------
    singles : Singles
        Gains on statements of at least two topics.
    size : int
        Heads per set.
    n_shuffles : int
        Number of permutations.
    seed : int
        Seed of the shuffles.
    """
    if not n_shuffles:
        return Shuffled(None, None, None, 0, None)
    random = np.random.default_rng(seed)

    def mean(topic: NDArray[Any]) -> float:
        sets = head_sets.by_group(singles, topic, size).values()
        return float(np.mean([ranking.jaccard(a, b) for a, b in combinations(sets, 2)]))

    similarity = np.array([mean(random.permutation(singles.topic)) for _ in range(n_shuffles)])
    as_low = 1 + int((similarity <= mean(singles.topic) + 1e-12).sum())
    p_value = as_low / (1 + n_shuffles)
    return Shuffled(float(similarity.mean()), *stats.percentiles(similarity), n_shuffles, p_value)
