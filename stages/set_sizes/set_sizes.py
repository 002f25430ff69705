"""Head sets of every size, by the order in which heads are added, and their runs."""

from collections.abc import Callable, Iterable

from stages.lib.patching.head_runs import HeadRuns
from stages.lib.patching.patch import Head
from stages.set_sizes.table import DOWN, UP, Orders, Place, Probabilities

Sets = dict[Place, list[Head]]


def sizes(wanted: Iterable[int], n_window: int, n_all: int) -> list[int]:
    """Sizes that fit the model, with none, one, those of the best window, and all."""
    return sorted({size for size in {0, 1, n_window, n_all, *wanted} if size <= n_all})


def sets(orders: Orders, at: list[int]) -> Sets:
    """Heads that each run of the curves patches in, up and down."""
    return {
        Place(rule, draw, direction, size): order[:size] if direction == UP else order[size:]
        for rule, some in orders.items()
        for draw, order in enumerate(some)
        for direction in (UP, DOWN)
        for size in at
    }


def smallest(
    orders: dict[str, list[Head]], at: list[int], enough: Callable[[list[list[Head]]], list[bool]]
) -> dict[str, int | None]:
    """Least number of heads of each order that is enough.

    Parameters
    ----------
    orders : dict of str to list of Head
        By rule.
    at : list of int
        Sizes that are tried first, rising from 0, until one is enough; then bisection between it
        and the one before. With one head fewer the set is not enough; where the curve is not
        monotone, a smaller one of a size that was not tried may be.
    enough : callable
        From head sets to whether each is enough.

    Returns
    -------
    dict of str to int or None
        None where no size that was tried is enough, or no head is needed.
    """
    fails: dict[str, int] = dict.fromkeys(orders, 0)
    holds: dict[str, int] = {}

    def note(tried: dict[str, int]) -> None:
        reached = enough([orders[rule][:size] for rule, size in tried.items()]) if tried else []
        for (rule, size), is_enough in zip(tried.items(), reached, strict=True):
            (holds if is_enough else fails)[rule] = size

    if not orders or enough([[]])[0]:
        return dict.fromkeys(orders)
    for size in at[1:]:
        note({rule: size for rule in orders if rule not in holds})
    while gaps := {rule: size for rule, size in holds.items() if size - fails[rule] > 1}:
        note({rule: (fails[rule] + size) // 2 for rule, size in gaps.items()})
    return {rule: holds.get(rule) for rule in orders}


def run(runs: HeadRuns, orders: Orders, at: list[int], chosen: Sets) -> Probabilities:
    """Run the curves of some orders, and some chosen sets.

    Parameters
    ----------
    runs : HeadRuns
        Over the statements of the report split.
    orders : dict of str to list of list of Head
        By rule.
    at : list of int
        Sizes, from none to all heads.
    chosen : dict of Place to list of Head
        Other sets to run.

    Returns
    -------
    dict of Place to ndarray of shape (n_statements, 2)
        P(true) and P(false) of each run.
    """
    wanted = sets(orders, at) | chosen
    return dict(zip(wanted, runs(list(wanted.values())), strict=True))
