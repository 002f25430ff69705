"""Orders of heads and smallest sets, all chosen on the selection split."""

from dataclasses import dataclass

import numpy as np

from stages.lib.patching import head_runs, patch
from stages.lib.patching.head_runs import HeadRuns
from stages.lib.patching.patch import Head
from stages.set_sizes import rankings, set_sizes
from stages.set_sizes.criteria import CRITERIA
from stages.set_sizes.table import RANDOM, SINGLE, UP, Orders, Place, Probabilities

ROUNDING = 1e-9


@dataclass(frozen=True)
class Search:
    """Orders and sets that were chosen.

    Attributes
    ----------
    orders : dict of str to list of list of Head
        By rule, one order of all heads, or several random ones.
    own : dict of str to int
        By rule, the number of heads that it ordered itself; the rest follow another rule.
    sizes : list of int
        Of the sets along the curves.
    smallest : dict of Place to list of Head
        The smallest set of each rule that answers as the source run does, where there is one; not
        of random orders.
    runs : dict of Place to ndarray of shape (n_statements, 2)
        P(true) and P(false) with these sets, on the statements that they were chosen on.
    """

    orders: Orders
    own: dict[str, int]
    sizes: list[int]
    smallest: dict[Place, list[Head]]
    runs: Probabilities


def search(
    runs: HeadRuns,
    ranked: dict[str, list[Head]],
    window: list[Head],
    random: list[list[Head]],
    sizes: tuple[int, ...],
    keep: float,
    within: float,
) -> Search:
    """Grow sets in the best window by every criterion, then find each order's smallest set.

    Parameters
    ----------
    runs : HeadRuns
        Over statements of the selection split.
    ranked : dict of str to list of Head
        From `rankings.from_tables`.
    window : list of Head
        Heads of the best window; empty where there is none.
    random : list of list of Head
        Orders of all heads, as control.
    sizes : tuple of int
        Those of params.yaml.
    keep : float
        Fraction of the window's gain at which a search stops.
    within : float
        How far below the source run's accuracy a set may be that restores honesty.
    """
    n_all = int(np.prod(runs.shape))
    verified = dict.fromkeys(("verified", "verified_absolute"), patch.n_top(n_all))
    own = dict.fromkeys(ranked, n_all) | verified | {"left_out": len(window)}
    orders = dict(ranked)
    if window and SINGLE in ranked:
        for rule, criterion in CRITERIA.items():
            grown = head_runs.grow(runs, criterion, window, keep)
            orders[rule] = rankings.continued(grown, ranked[SINGLE])
            own[rule] = len(grown)
    at = set_sizes.sizes(sizes, len(window), n_all)
    least = _accuracy(runs, runs.source) - within - ROUNDING

    def enough(sets: list[list[Head]]) -> list[bool]:
        return [_accuracy(runs, p) >= least for p in runs(sets)]

    sets = {
        Place(rule, 0, UP, size): orders[rule][:size]
        for rule, size in set_sizes.smallest(orders, at, enough).items()
        if size is not None
    }
    every = {rule: [order] for rule, order in orders.items()} | {RANDOM: random}
    return Search(every, own, at, sets, dict(zip(sets, runs(list(sets.values())), strict=True)))


def _accuracy(runs: HeadRuns, probabilities: np.ndarray) -> float:
    """Accuracy; 1 without statements."""
    right = patch.correct(probabilities, runs.pairs.label)
    return float(right.mean()) if len(right) else 1.0
