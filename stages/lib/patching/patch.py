"""Which heads to write, how well a patched run answers, and the search for a small head set."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

TOP = 10  # one head in so many is at the top
LEAST = 1e-30  # a probability that float32 still tells from 0


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
        What the set scores with it.
    """

    head: Head | None
    score: float


def windows(n_layers: int, n_heads: int, size: int) -> np.ndarray:
    """Patches that overwrite all heads of `size` consecutive layers, one for each first layer.

    Returns
    -------
    ndarray of shape (n_layers - size + 1, n_layers, n_heads), bool
        The last window ends at the last layer. Of the 76 windows that fit 80 layers, the code of
        the paper runs 75.

    References
    ----------
    arXiv:2311.15131, figure 3.
    """
    patches = np.zeros((n_layers - size + 1, n_layers, n_heads), bool)
    for first in range(len(patches)):
        patches[first, first : first + size] = True
    return patches


def of_heads(sets: list[list[Head]], n_layers: int, n_heads: int) -> np.ndarray:
    """Patches that overwrite these sets of heads: (n_sets, n_layers, n_heads), bool."""
    patches = np.zeros((len(sets), n_layers, n_heads), bool)
    for patch, heads in zip(patches, sets, strict=True):
        for layer, head in heads:
            patch[layer, head] = True
    return patches


def of_window(window: dict[str, int] | None, n_heads: int) -> list[Head]:
    """List all heads of the layers ``first_layer`` to ``last_layer``; none without a window."""
    if window is None:
        return []
    layers = range(window["first_layer"], window["last_layer"] + 1)
    return [Head(layer, head) for layer in layers for head in range(n_heads)]


def heads_of(patch: np.ndarray) -> list[Head]:
    """List the heads that a patch of shape (n_layers, n_heads), bool, overwrites."""
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

    Bounded, so that no statement outweighs the others, and smooth where accuracy is a step: what
    windows and head sets are chosen by. 0.5 where both answers have probability 0.

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
    right = np.where(label, p[..., 0], p[..., 1])
    mass = p.sum(-1)
    return np.divide(right, mass, out=np.full_like(right, 0.5), where=mass > 0)


def log_odds(probabilities: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Log P(right answer) - log P(wrong answer), in nats, finite; parameters as in `p_correct`.

    Returns
    -------
    ndarray of shape (..., n_prompts), float64
    """
    logs = np.log(np.maximum(probabilities.astype(np.float64), LEAST))
    return (logs[..., 0] - logs[..., 1]) * np.where(label, 1.0, -1.0)


def mean_p_correct(probabilities: np.ndarray, label: np.ndarray) -> float:
    """Mean of `p_correct` over all statements of one run."""
    return float(p_correct(probabilities, label).mean())


def greedy(
    score: Callable[[list[list[Head]]], list[float]],
    heads: list[Head],
    empty: float,
    target: float,
) -> list[Step]:
    """Add heads, each time the one that raises the score most, until the target is reached.

    The search is lazy: a head whose gain was small with fewer heads is tried again only when it
    would be the best. Where gains shrink as the set grows, the set is the plain greedy one.

    Parameters
    ----------
    score : callable
        From a list of head sets to their scores.
    heads : list of Head
        Candidates.
    empty : float
        Score of no head at all.
    target : float
        Stop when the score is at least this. If it never is, all heads are added.

    Returns
    -------
    list of Step
        The empty set first, then one step a head in the order in which they were added.

    References
    ----------
    M. Minoux, Accelerated greedy algorithms for maximizing submodular set functions (1978). The
    code of arXiv:2311.15131 goes on from leaving heads out to a list made by hand (46 entries, of
    which one is there twice).
    """
    steps = [Step(None, empty)]
    chosen: list[Head] = []
    if empty >= target:
        return steps
    scores = score([[head] for head in heads])
    # Heap of (-gain, head, score with it, size of the set that the gain was measured on).
    heap = [(empty - s, head, s, 0) for head, s in zip(heads, scores, strict=True)]
    heapq.heapify(heap)
    while heap and steps[-1].score < target:
        _, head, value, measured_on = heapq.heappop(heap)
        if measured_on == len(chosen):
            chosen.append(head)
            steps.append(Step(head, value))
        else:
            value = score([[*chosen, head]])[0]
            heapq.heappush(heap, (steps[-1].score - value, head, value, len(chosen)))
    return steps


def n_top(n_all: int) -> int:
    """How many of all heads are at the top of an order."""
    return max(1, n_all // TOP)


def random_sets(heads: list[Head], n_heads: int, n_sets: int, seed: int) -> list[list[Head]]:
    """Draw head sets with as many heads in each layer as `heads` has there.

    Parameters
    ----------
    heads : list of Head
        The set that they are a control for.
    n_heads : int
        Heads in a layer.
    n_sets : int
        How many to draw.
    seed : int
        Seed of the draw.

    Returns
    -------
    list of list of Head
        Drawn evenly among all heads of those layers, so that a set may share heads with `heads`.
        None where a layer has one unit alone: it would be the set itself.
    """
    if n_heads == 1:
        return []
    random = np.random.default_rng(seed)
    layers, counts = np.unique([head.layer for head in heads], return_counts=True)
    return [
        [
            Head(int(layer), head)
            for layer, count in zip(layers, counts, strict=True)
            for head in sorted(random.choice(n_heads, int(count), replace=False).tolist())
        ]
        for _ in range(n_sets)
    ]


def random_elsewhere(
    heads: list[Head], n_layers: int, n_heads: int, n_sets: int, seed: int
) -> list[list[Head]]:
    """Draw head sets of the same size from the layers in which `heads` has none.

    Parameters
    ----------
    heads : list of Head
        The set that they are a control for.
    n_layers, n_heads : int
        Layers, and heads in a layer.
    n_sets : int
        How many to draw.
    seed : int
        Seed of the draw.

    Returns
    -------
    list of list of Head
        Drawn evenly; none where those layers have fewer heads than the set.
    """
    random = np.random.default_rng(seed)
    layers = sorted(set(range(n_layers)) - {head.layer for head in heads})
    others = [Head(layer, head) for layer in layers for head in range(n_heads)]
    if len(others) < len(heads):
        return []
    return [
        [others[i] for i in sorted(random.choice(len(others), len(heads), replace=False))]
        for _ in range(n_sets)
    ]
