"""Which heads to patch, how well a patched run answers, and the search for a small head set."""

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

TOP = 10  # one head in ten counts as top
MIN_PROBABILITY = 1e-30  # smallest probability used in logarithms; float32 tells it from 0


class Head(NamedTuple):
    """A query head; layer and head count from 0."""

    layer: int
    head: int


@dataclass(frozen=True)
class Step:
    """One step of the greedy search.

    Attributes
    ----------
    head : Head or None
        The head that was added; None for the empty set that the search starts from.
    score : float
        Score of the set that includes this head.
    """

    head: Head | None
    score: float


def windows(n_layers: int, n_heads: int, size: int) -> np.ndarray:
    """Make patches of all heads in `size` consecutive layers, one patch per first layer.

    Returns
    -------
    ndarray of shape (n_layers - size + 1, n_layers, n_heads), bool
        The last window ends at the last layer. The paper's code runs 75 of the 76 five-layer
        windows that fit 80 layers.

    References
    ----------
    arXiv:2311.15131, figure 3.
    """
    firsts = range(n_layers - size + 1)
    return of_windows([range(first, first + size) for first in firsts], n_layers, n_heads)


def of_windows(windows: list[range], n_layers: int, n_heads: int) -> np.ndarray:
    """Make one patch of all heads per window of layers: (n_windows, n_layers, n_heads), bool."""
    patches = np.zeros((len(windows), n_layers, n_heads), bool)
    for patch, layers in zip(patches, windows, strict=True):
        patch[layers.start : layers.stop] = True
    return patches


def of_heads(sets: list[list[Head]], n_layers: int, n_heads: int) -> np.ndarray:
    """Make one patch per head set: (n_sets, n_layers, n_heads), bool."""
    patches = np.zeros((len(sets), n_layers, n_heads), bool)
    for patch, heads in zip(patches, sets, strict=True):
        for layer, head in heads:
            patch[layer, head] = True
    return patches


def heads_of(patch: np.ndarray) -> list[Head]:
    """List the heads of a patch of shape (n_layers, n_heads), bool."""
    return [Head(int(layer), int(head)) for layer, head in np.argwhere(patch)]


def correct(probabilities: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Whether the more probable answer is the label.

    Parameters
    ----------
    probabilities : ndarray of shape (..., n_prompts, 2)
        P(true) and P(false).
    label : ndarray of shape (n_prompts,), bool
        Whether each statement is true.

    Returns
    -------
    ndarray of shape (..., n_prompts), bool
    """
    return (probabilities[..., 0] > probabilities[..., 1]) == label


def p_correct(probabilities: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Probability of the right answer, renormalised over both answers.

    Windows and head sets are chosen by this measure: it is bounded, so that no statement outweighs
    the other ones, and smooth, where accuracy is a step function. It is 0.5 where both answers have
    probability 0.

    Parameters
    ----------
    probabilities : ndarray of shape (..., n_prompts, 2)
        P(true) and P(false).
    label : ndarray of shape (n_prompts,), bool
        Whether each statement is true.

    Returns
    -------
    ndarray of shape (..., n_prompts), float64
        In [0, 1].
    """
    p = probabilities.astype(np.float64)
    p_right = np.where(label, p[..., 0], p[..., 1])
    mass = p.sum(-1)
    return np.divide(p_right, mass, out=np.full_like(p_right, 0.5), where=mass > 0)


def log_odds(probabilities: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Log-odds of the right answer, in nats: log P(right answer) - log P(wrong answer).

    Parameters are those of `p_correct`.

    Returns
    -------
    ndarray of shape (..., n_prompts), float64
        Finite.
    """
    logs = np.log(np.maximum(probabilities.astype(np.float64), MIN_PROBABILITY))
    return (logs[..., 0] - logs[..., 1]) * sign(label)


def sign(label: np.ndarray) -> np.ndarray:
    """1 where the right answer is "true" and -1 where it is "false", float64."""
    return np.where(label, 1.0, -1.0)


def toward_right(differences: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Turn differences of "true" from "false" into differences of the right from the wrong answer.

    Parameters
    ----------
    differences : ndarray of shape (n_statements, ...)
        Such as log P(true) - log P(false), in nats.
    label : ndarray of shape (n_statements,), bool
        Whether each statement is true.

    Returns
    -------
    ndarray of shape (n_statements, ...), float64
    """
    return differences.astype(np.float64) * sign(label).reshape(-1, *[1] * (differences.ndim - 1))


def mean_p_correct(probabilities: np.ndarray, label: np.ndarray) -> float:
    """Average `p_correct` over all statements of one run."""
    return float(p_correct(probabilities, label).mean())


def largest(effects: np.ndarray, size: int) -> np.ndarray:
    """Mark the heads with the largest effects; ties go to the earlier head.

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


def greedy(
    score: Callable[[list[list[Head]]], list[float]],
    heads: list[Head],
    empty_score: float,
    target: float,
) -> list[Step]:
    """Add at each step the head that raises the score most, until the target is reached.

    The search is lazy: a head is scored again only when its last measured gain is the largest. If
    gains shrink as the set grows, the result is that of the plain greedy search.

    Parameters
    ----------
    score : callable
        From a list of head sets to their scores.
    heads : list of Head
        Candidates.
    empty_score : float
        Score of the empty set.
    target : float
        The search stops when the score is at least this. If it never is, all heads are added.

    Returns
    -------
    list of Step
        The empty set first, then one step per head in the order in which heads were added.

    References
    ----------
    M. Minoux, Accelerated greedy algorithms for maximizing submodular set functions (1978). The
    code of arXiv:2311.15131 leaves single heads out, and then uses a list of heads made by hand (46
    entries, one of them twice).
    """
    steps = [Step(None, empty_score)]
    head_set: list[Head] = []
    if empty_score >= target:
        return steps
    scores = score([[head] for head in heads])
    # Heap of (-gain, head, score with the head, size of the set on which the gain was measured).
    heap = [(empty_score - s, head, s, 0) for head, s in zip(heads, scores, strict=True)]
    heapq.heapify(heap)
    while heap and steps[-1].score < target:
        _, head, value, measured_on = heapq.heappop(heap)
        if measured_on == len(head_set):
            head_set.append(head)
            steps.append(Step(head, value))
        else:
            value = score([[*head_set, head]])[0]
            heapq.heappush(heap, (steps[-1].score - value, head, value, len(head_set)))
    return steps


def n_top(n_all: int) -> int:
    """Return how many of `n_all` ranked heads count as top: one in ten, and at least one."""
    return max(1, n_all // TOP)


def random_sets(heads: list[Head], n_heads: int, n_sets: int, seed: int) -> list[list[Head]]:
    """Draw other head sets with as many heads in each layer as `heads` has there.

    Parameters
    ----------
    heads : list of Head
        The set for which the drawn sets are controls.
    n_heads : int
        Heads per layer.
    n_sets : int
        Number of sets to draw.
    seed : int
        Seed of the draw.

    Returns
    -------
    list of list of Head
        Drawn uniformly among all heads of these layers, so that a set may share heads with `heads`.
        No set is drawn twice, and `heads` never: fewer sets than `n_sets` where there are no more,
        and none where `heads` has every head of its layers.
    """
    random = np.random.default_rng(seed)
    layers, counts = np.unique([head.layer for head in heads], return_counts=True)
    n_possible = math.prod(math.comb(n_heads, int(count)) for count in counts)

    def draw() -> list[Head]:
        return [
            Head(int(layer), head)
            for layer, count in zip(layers, counts, strict=True)
            for head in sorted(random.choice(n_heads, int(count), replace=False).tolist())
        ]

    return _distinct(draw, min(n_sets, n_possible - 1), sorted(heads))


def random_elsewhere(
    heads: list[Head], n_layers: int, n_heads: int, n_sets: int, seed: int
) -> list[list[Head]]:
    """Draw head sets of the size of `heads` from the layers that have none of `heads`.

    Parameters
    ----------
    heads : list of Head
        The set for which the drawn sets are controls.
    n_layers, n_heads : int
        Number of layers, and heads per layer.
    n_sets : int
        Number of sets to draw.
    seed : int
        Seed of the draw.

    Returns
    -------
    list of list of Head
        Drawn uniformly, no set twice; empty if these layers have fewer heads than `heads`.
    """
    random = np.random.default_rng(seed)
    layers = sorted(set(range(n_layers)) - {head.layer for head in heads})
    candidates = [Head(layer, head) for layer in layers for head in range(n_heads)]
    n_possible = math.comb(len(candidates), len(heads)) if heads else 0

    def draw() -> list[Head]:
        places = sorted(random.choice(len(candidates), len(heads), replace=False))
        return [candidates[i] for i in places]

    return _distinct(draw, min(n_sets, n_possible), [])


def _distinct(draw: Callable[[], list[Head]], n: int, left_out: list[Head]) -> list[list[Head]]:
    """Draw until there are n different sets other than `left_out`."""
    sets: dict[tuple[Head, ...], list[Head]] = {}
    while len(sets) < n:
        drawn = draw()
        if drawn != left_out:
            sets.setdefault(tuple(drawn), drawn)
    return list(sets.values())
