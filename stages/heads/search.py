"""Greedy search for a small set of heads in a window that keeps the window's effect."""

from dataclasses import dataclass

import numpy as np

from stages.lib.patching import head_effects, head_runs, layer_window, patch
from stages.lib.patching.head_runs import HeadRuns
from stages.lib.patching.layer_window import Window
from stages.lib.patching.patch import Head


@dataclass(frozen=True)
class HeadSearch:
    """The result of a search.

    Attributes
    ----------
    order : list of Head
        The set, in the order in which its heads were added.
    gains : bool
        Whether the window gains anything.
    sets : dict of str to list of Head
        Every head set that was run, by its `patch_id`.
    probabilities : list of ndarray of shape (n_statements, 2)
        P(true) and P(false) with each of `sets`.
    """

    order: list[Head]
    gains: bool
    sets: dict[str, list[Head]]
    probabilities: list[np.ndarray]


def search(runs: HeadRuns, best_window: Window, keep: float) -> HeadSearch:
    """Patch in each head of a window alone, then all heads but each, then grow a set greedily.

    Parameters
    ----------
    runs : HeadRuns
        Runs over the statements to search on.
    best_window : Window
        The window.
    keep : float
        Fraction of the window's gain in p_correct at which the set is large enough.

    Returns
    -------
    HeadSearch

    References
    ----------
    arXiv:2311.15131, figure 4: heads of the best window, left out one at a time.
    """
    window_heads = layer_window.heads(best_window, runs.shape[1])
    sets = {"none": [], "window": window_heads}
    alone_sets = {_name([head]): [head] for head in window_heads}
    left_out_sets = {
        head_effects.name(head_effects.LEFT_OUT, [h]): [x for x in window_heads if x != h]
        for h in window_heads
    }
    low, high = (patch.mean_p_correct(p, runs.pairs.label) for p in runs(list(sets.values())))
    for single_head_sets in (alone_sets, left_out_sets):
        runs(list(single_head_sets.values()))
        sets |= single_head_sets
    order = head_runs.grow(runs, patch.mean_p_correct, window_heads, keep)
    known_sets = {frozenset(heads) for heads in sets.values()}
    sets |= {_name(heads): heads for heads in runs.sets if frozenset(heads) not in known_sets}
    return HeadSearch(order, high > low, sets, runs(list(sets.values())))


def _name(heads: list[Head]) -> str:
    """Name a head set; the name does not depend on the order of its heads."""
    kind = ("none", head_effects.ALONE, "set")[min(len(heads), 2)]
    return head_effects.name(kind, sorted(heads))
