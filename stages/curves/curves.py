"""Accuracy and truth against the number of heads that are written, by the order they come in."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.curves.head_scores import Runs
from stages.lib import stats
from stages.lib.io import tables
from stages.lib.patching import patch, patched_runs
from stages.lib.patching.cases import Cases
from stages.lib.patching.patch import Head
from stages.lib.stats import run_points

SCHEMA = tables.PATCHED | {
    "part": pl.String,
    "rule": pl.String,
    "draw": pl.Int32,
    "direction": pl.String,
    "size": pl.Int32,
}
ORDERS: tables.Schema = {
    "rule": pl.String,
    "draw": pl.Int32,
    "rank": pl.Int32,
    "layer": pl.Int32,
    "head": pl.Int32,
}
UP, DOWN = "up", "down"
Orders = dict[str, list[list[Head]]]  # by rule: one order of all heads, or several random ones


class Place(NamedTuple):
    """Where a run is in the curves: up writes the `size` first heads, down all but these."""

    rule: str
    draw: int
    direction: str
    size: int


Probabilities = dict[Place, NDArray[Any]]


@dataclass(frozen=True)
class Done:
    """Runs of the report part.

    Attributes
    ----------
    cases : Cases
        The statements.
    sizes : list of int
        Of the head sets of every curve, from none to all heads.
    none, every, source : ndarray of shape (n_statements, 2)
        P(true) and P(false) of the base run, of the one with all heads written, of the source run.
    curves : dict of Place to ndarray of shape (n_statements, 2)
        Every order in both directions at every size.
    smallest : dict of Place to ndarray of shape (n_statements, 2)
        For each rule that has one, the smallest set that was enough on the selection part.
    """

    cases: Cases
    sizes: list[int]
    none: NDArray[Any]
    every: NDArray[Any]
    source: NDArray[Any]
    curves: Probabilities
    smallest: Probabilities

    def truth(self, probabilities: NDArray[Any]) -> NDArray[np.float64]:
        """Truth of a run: (n_statements,)."""
        return patch.truth(probabilities, self.cases.label)

    def gain(self) -> stats.Interval:
        """Truth that all heads of the model together add."""
        return stats.difference(self.truth(self.every), self.truth(self.none), self.cases.subject)


def sizes(wanted: Iterable[int], n_window: int, n_all: int) -> list[int]:
    """Sizes that fit the model, with none, one, those of the best window, and all."""
    return sorted({size for size in {0, 1, n_window, n_all, *wanted} if size <= n_all})


def sets(orders: Orders, at: list[int]) -> dict[Place, list[Head]]:
    """Heads that each run of the curves writes, up and down."""
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
        found = enough([orders[rule][:size] for rule, size in tried.items()]) if tried else []
        for (rule, size), is_enough in zip(tried.items(), found, strict=True):
            (holds if is_enough else fails)[rule] = size

    if not orders or enough([[]])[0]:
        return dict.fromkeys(orders)
    for size in at[1:]:
        note({rule: size for rule in orders if rule not in holds})
    while gaps := {rule: size for rule, size in holds.items() if size - fails[rule] > 1}:
        note({rule: (fails[rule] + size) // 2 for rule, size in gaps.items()})
    return {rule: holds.get(rule) for rule in orders}


def run(runs: Runs, orders: Orders, at: list[int], chosen: dict[Place, list[Head]]) -> Done:
    """Run the curves of some orders, and some chosen sets.

    Parameters
    ----------
    runs : Runs
        Over the statements of the report part.
    orders : dict of str to list of list of Head
        By rule.
    at : list of int
        Sizes, from none to all heads.
    chosen : dict of Place to list of Head
        Other sets to run.
    """
    wanted = sets(orders, at) | chosen
    none, every, *patched = runs([[], next(iter(orders.values()))[0], *wanted.values()])
    done = dict(zip(wanted, patched, strict=True))
    smallest = {place: done[place] for place in chosen}
    curves = {place: p for place, p in done.items() if place.size in at}
    return Done(runs.cases, at, none, every, runs.source, curves, smallest)


def rows(config: patch.Config, part: str, cases: Cases, done: Probabilities) -> list[pl.DataFrame]:
    """One row a statement and run: tables with the columns of `SCHEMA`.

    Parameters
    ----------
    config : Config
        Section `patch`.
    part : str
        That the statements are of.
    cases : Cases
        The statements.
    done : dict of Place to ndarray of shape (n_statements, 2)
        P(true) and P(false) of each run.
    """
    return [
        patched_runs.rows(
            cases, probabilities, config.source, config.base, " ".join(map(str, (part, *place)))
        )
        .drop("heads")
        .with_columns(part=pl.lit(part), **{name: pl.lit(x) for name, x in place._asdict().items()})
        for place, probabilities in done.items()
    ]


def ranks(orders: Orders) -> pl.DataFrame:
    """Orders as a table: one row a rule, draw and head; rank 1 comes first."""
    return pl.DataFrame(
        [
            (rule, draw, rank, *head)
            for rule, some in orders.items()
            for draw, order in enumerate(some)
            for rank, head in enumerate(order, start=1)
        ],
        schema=ORDERS,
        orient="row",
    )


def points(done: Done) -> list[dict[str, Any]]:
    """Rows of plots/curves/curves.json: one a run.

    Returns
    -------
    list of dict
        Columns of `Place`, ``share`` of all heads, those of `run_points.POINT`, and ``kept``:
        the share of what all heads add to truth. It is None where they add nothing.
    """
    result = []
    low, high = (done.truth(p).mean() if len(p) else 0.0 for p in (done.none, done.every))
    for place, probabilities in done.curves.items():
        point = run_points.point(done.cases, probabilities)
        kept = (point["truth"] - low) / (high - low) if high > low else None
        names = {**place._asdict(), "share": place.size / done.sizes[-1]}
        result.append({**names, **point, "kept": kept})
    return result


def smallest_points(done: Done) -> list[dict[str, Any]]:
    """Rows of plots/curves/smallest.json: one a rule that has a smallest set that is enough."""
    return [
        {"rule": place.rule, "size": place.size, "share": place.size / done.sizes[-1]}
        | run_points.point(done.cases, probabilities)
        for place, probabilities in done.smallest.items()
    ]
