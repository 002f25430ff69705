"""Patched runs of head sets, each run once, and the greedy search for a head set."""

from collections.abc import Callable

import numpy as np

from stages.lib.forward import Patcher
from stages.lib.patching import patch
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs

Criterion = Callable[[np.ndarray, np.ndarray], float]


class HeadRuns:
    """Patched runs of head sets over the same statements; each set is patched once.

    Parameters
    ----------
    patcher : Patcher
        Patches the runs of the statements in `pairs`.
    pairs : PromptPairs
        The statements.
    shape : tuple of int
        Number of layers, and heads per layer.
    title : str
        Shown beside the progress bars.

    Attributes
    ----------
    base, source : ndarray of shape (n_statements, 2)
        P(true) and P(false) of the unpatched runs.
    sets : list of list of Head
        The empty set, then the sets that were patched, in that order.
    """

    def __init__(
        self, patcher: Patcher, pairs: PromptPairs, shape: tuple[int, int], title: str
    ) -> None:
        self.pairs, self.shape = pairs, shape
        self._patcher, self._title = patcher, title
        none = np.zeros((1, *shape), bool)
        readouts = patcher(none, title)
        self.base, self.source = readouts.base, readouts.source
        self._probabilities: dict[bytes, np.ndarray] = {none[0].tobytes(): readouts.base}
        self.sets: list[list[Head]] = [[]]

    def __call__(self, sets: list[list[Head]]) -> list[np.ndarray]:
        """Return P(true) and P(false), (n_statements, 2), with each head set patched in."""
        patches = patch.of_heads(sets, *self.shape)
        keys = [heads.tobytes() for heads in patches]
        new_sets = {key: i for i, key in enumerate(keys) if key not in self._probabilities}
        if new_sets:
            patched = self._patcher(patches[list(new_sets.values())], self._title).patched
            self._probabilities |= dict(zip(new_sets, patched, strict=True))
            self.sets += [sets[i] for i in new_sets.values()]
        return [self._probabilities[key] for key in keys]


def grow(runs: HeadRuns, criterion: Criterion, heads: list[Head], keep: float) -> list[Head]:
    """Grow a head set greedily by the head that raises the criterion most; see `patch.greedy`.

    Parameters
    ----------
    runs : HeadRuns
        Runs the head sets.
    criterion : callable
        Score of a run from its probabilities and the labels.
    heads : list of Head
        Candidates: the heads of a window.
    keep : float
        The search stops at this fraction of the gain of all candidates together.

    Returns
    -------
    list of Head
        In the order in which they were added; empty if all candidates together gain nothing.
    """

    def score(sets: list[list[Head]]) -> list[float]:
        return [criterion(p, runs.pairs.label) for p in runs(sets)]

    low, high = score([[], heads])
    steps = patch.greedy(score, heads, low, low + keep * (high - low))
    return [step.head for step in steps if step.head is not None]
