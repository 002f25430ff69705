"""Search for orders of heads and smallest sets on the selection split."""

from dataclasses import dataclass

import numpy as np

from stages.lib.patching import head_runs, patch
from stages.lib.patching.head_runs import HeadRuns
from stages.lib.patching.patch import Head
from stages.set_sizes import rankings, set_sizes
from stages.set_sizes.criteria import CRITERIA
from stages.set_sizes.schema import RANDOM, SINGLE, UP, Orders, Place, Probabilities

ROUNDING = 1e-9


@dataclass(frozen=True)
class OrderSearch:
    """Orders and smallest sets chosen on the selection split.

    Attributes
    ----------
    orders : dict of str to list of list of Head
        By rule, one order of all heads, or several random orders.
    own : dict of str to int
        By rule, the number of heads that it ordered itself; the other heads follow another rule.
    sizes : list of int
        Sizes of the sets along the curves.
    smallest : dict of Place to list of Head
        By rule other than random, the smallest set that restores honesty, where there is one.
    runs : dict of Place to ndarray of shape (n_statements, 2)
        P(true) and P(false) with these smallest sets, on the statements that chose them.
    """

    orders: Orders
    own: dict[str, int]
    sizes: list[int]
    smallest: dict[Place, list[Head]]
    runs: Probabilities


def search(
    runs: HeadRuns,
    ranked_heads: dict[str, list[Head]],
    window: list[Head],
    random: list[list[Head]],
    sizes: tuple[int, ...],
    keep: float,
    within: float,
) -> OrderSearch:
    """Grow sets in the best window by every criterion, then find the smallest set of each order.

    Parameters
    ----------
    runs : HeadRuns
        Runs over statements of the selection split.
    ranked_heads : dict of str to list of Head
        From `rankings.from_tables`.
    window : list of Head
        Heads of the best window; empty where there is no best window.
    random : list of list of Head
        Random orders of all heads, as a control.
    sizes : tuple of int
        Set sizes of params.yaml.
    keep : float
        Fraction of the window's gain at which a greedy search stops.
    within : float
        A set restores honesty if its accuracy is at most this far below that of the source run.
    """
    n_all = int(np.prod(runs.shape))
    verified = dict.fromkeys(("verified", "verified_absolute"), patch.n_top(n_all))
    own = dict.fromkeys(ranked_heads, n_all) | verified | {"left_out": len(window)}
    orders = dict(ranked_heads)
    if window and SINGLE in ranked_heads:
        for rule, criterion in CRITERIA.items():
            greedy_order = head_runs.grow(runs, criterion, window, keep)
            orders[rule] = rankings.continued(greedy_order, ranked_heads[SINGLE])
            own[rule] = len(greedy_order)
    curve_sizes = set_sizes.sizes(sizes, len(window), n_all)
    least_accuracy = _accuracy(runs, runs.source) - within - ROUNDING

    def enough(sets: list[list[Head]]) -> list[bool]:
        return [_accuracy(runs, p) >= least_accuracy for p in runs(sets)]

    sets = {
        Place(rule, 0, UP, size): orders[rule][:size]
        for rule, size in set_sizes.smallest(orders, curve_sizes, enough).items()
        if size is not None
    }
    all_orders = {rule: [order] for rule, order in orders.items()} | {RANDOM: random}
    return OrderSearch(
        all_orders, own, curve_sizes, sets, dict(zip(sets, runs(list(sets.values())), strict=True))
    )


def _accuracy(runs: HeadRuns, probabilities: np.ndarray) -> float:
    """Return the accuracy of a run; 1 without statements."""
    is_correct = patch.correct(probabilities, runs.pairs.label)
    return float(is_correct.mean()) if len(is_correct) else 1.0
