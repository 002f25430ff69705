"""Head sets of every size along each order of heads, and their runs."""

from collections.abc import Callable, Iterable

from stages.lib.patching.head_runs import HeadRuns
from stages.lib.patching.patch import Head
from stages.set_sizes.schema import DOWN, UP, Orders, Place, Probabilities

Sets = dict[Place, list[Head]]


def sizes(requests: Iterable[int], n_window: int, n_all: int) -> list[int]:
    """Return the requested sizes that fit the model, with 0, 1, the window and all heads."""
    return sorted({size for size in {0, 1, n_window, n_all, *requests} if size <= n_all})


def sets(orders: Orders, curve_sizes: list[int]) -> Sets:
    """Return the heads that each run of the curves patches in, up and down."""
    return {
        Place(rule, draw, direction, size): order[:size] if direction == UP else order[size:]
        for rule, rule_orders in orders.items()
        for draw, order in enumerate(rule_orders)
        for direction in (UP, DOWN)
        for size in curve_sizes
    }


def smallest(
    orders: dict[str, list[Head]],
    curve_sizes: list[int],
    enough: Callable[[list[list[Head]]], list[bool]],
) -> dict[str, int | None]:
    """Find, for each order, the least number of first heads that are enough.

    Parameters
    ----------
    orders : dict of str to list of Head
        By rule.
    curve_sizes : list of int
        Sizes rising from 0, tried in turn until the set of one size is enough. Bisection between
        this size and the size before it follows. The set that is found is not enough with one head
        fewer. Where the curve is not monotone, a smaller set of an untried size may be enough.
    enough : callable
        From head sets to whether each set is enough.

    Returns
    -------
    dict of str to int or None
        By rule; None where no tried size is enough, or the empty set is enough.
    """
    fails: dict[str, int] = dict.fromkeys(orders, 0)
    holds: dict[str, int] = {}

    def note(tried: dict[str, int]) -> None:
        verdicts = enough([orders[rule][:size] for rule, size in tried.items()]) if tried else []
        for (rule, size), is_enough in zip(tried.items(), verdicts, strict=True):
            (holds if is_enough else fails)[rule] = size

    if not orders or enough([[]])[0]:
        return dict.fromkeys(orders)
    for size in curve_sizes[1:]:
        note({rule: size for rule in orders if rule not in holds})
    while gaps := {rule: size for rule, size in holds.items() if size - fails[rule] > 1}:
        note({rule: (fails[rule] + size) // 2 for rule, size in gaps.items()})
    return {rule: holds.get(rule) for rule in orders}


def run(
    runs: HeadRuns, orders: Orders, curve_sizes: list[int], smallest_sets: Sets
) -> Probabilities:
    """Run the curves of all orders, and the smallest sets.

    Parameters
    ----------
    runs : HeadRuns
        Runs over the statements of the report split.
    orders : dict of str to list of list of Head
        By rule.
    curve_sizes : list of int
        Set sizes, from 0 to all heads.
    smallest_sets : dict of Place to list of Head
        Further sets to run.

    Returns
    -------
    dict of Place to ndarray of shape (n_statements, 2)
        P(true) and P(false) of each run.
    """
    requests = sets(orders, curve_sizes) | smallest_sets
    return dict(zip(requests, runs(list(requests.values())), strict=True))
