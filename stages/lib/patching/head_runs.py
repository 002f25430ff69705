"""Patched runs of head sets, no set patched twice, and the greedy search among them."""

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
        Over the statements of `pairs`.
    pairs : PromptPairs
        The statements.
    shape : tuple of int
        Layers of the model, and heads of a layer.
    title : str
        Shown beside the progress bars.

    Attributes
    ----------
    base, source : ndarray of shape (n_statements, 2)
        P(true) and P(false) of the unpatched runs.
    sets : list of list of Head
        The sets that were patched, in that order, and before them the empty one.
    """

    def __init__(
        self, patcher: Patcher, pairs: PromptPairs, shape: tuple[int, int], title: str
    ) -> None:
        self.pairs, self.shape = pairs, shape
        self._patcher, self._title = patcher, title
        none = np.zeros((1, *shape), bool)
        readouts = patcher(none, title)
        self.base, self.source = readouts.base, readouts.source
        self._known: dict[bytes, np.ndarray] = {none[0].tobytes(): readouts.base}
        self.sets: list[list[Head]] = [[]]

    def __call__(self, sets: list[list[Head]]) -> list[np.ndarray]:
        """P(true) and P(false), (n_statements, 2), with each set of heads patched in."""
        patches = patch.of_heads(sets, *self.shape)
        keys = [heads.tobytes() for heads in patches]
        new = {key: i for i, key in enumerate(keys) if key not in self._known}
        if new:
            patched = self._patcher(patches[list(new.values())], self._title).patched
            self._known |= dict(zip(new, patched, strict=True))
            self.sets += [sets[i] for i in new.values()]
        return [self._known[key] for key in keys]


def grow(runs: HeadRuns, criterion: Criterion, heads: list[Head], keep: float) -> list[Head]:
    """Add heads, each time the one that raises the criterion most; see `patch.greedy`.

    Parameters
    ----------
    runs : HeadRuns
        Patches the sets.
    criterion : callable
        Score of a run from its probabilities and the labels.
    heads : list of Head
        Candidates: those of a window.
    keep : float
        Share of the gain of all candidates together at which the search stops.

    Returns
    -------
    list of Head
        In the order in which they were added; empty where all candidates together gain nothing.
    """

    def score(sets: list[list[Head]]) -> list[float]:
        return [criterion(p, runs.pairs.label) for p in runs(sets)]

    low, high = score([[], heads])
    steps = patch.greedy(score, heads, low, low + keep * (high - low))
    return [step.head for step in steps if step.head is not None]
