"""Tables of `set_sizes`: the runs, by their place in the curves, and the orders of heads."""

from typing import NamedTuple

import numpy as np
import polars as pl

from stages.lib.io import tables
from stages.lib.patching import patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.set_sizes.criteria import CRITERIA

SCHEMA = tables.PATCHED | {
    "split": pl.String,
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
    "own": pl.Boolean,
    "on_curve": pl.Boolean,
}
UP, DOWN = "up", "down"
RANDOM, SINGLE = "random", "single"
RULES = (
    "estimate",
    "verified",
    "verified_absolute",
    SINGLE,
    "single_log_odds",
    "left_out",
    *CRITERIA,
    RANDOM,
)
Orders = dict[str, list[list[Head]]]  # by rule: one order of all heads, or several random orders


class Place(NamedTuple):
    """Place of a run in the curves: ``up`` patches the first `size` heads, ``down`` all others."""

    rule: str
    draw: int
    direction: str
    size: int


Probabilities = dict[Place, np.ndarray]


def rows(
    config: PatchConfig, split: str, pairs: PromptPairs, runs: Probabilities
) -> list[pl.DataFrame]:
    """Return one table per run with one row per statement and the columns of `SCHEMA`.

    Parameters
    ----------
    config : PatchConfig
        Section `patch`.
    split : str
        Split of the statements.
    pairs : PromptPairs
        The statements.
    runs : dict of Place to ndarray of shape (n_statements, 2)
        P(true) and P(false) of each run.
    """
    return [
        patched_runs.rows(
            pairs,
            p,
            config.source,
            config.base,
            " ".join(map(str, (split, *place))),
            schema=SCHEMA,
            split=split,
            **place._asdict(),
        )
        for place, p in runs.items()
    ]


def source_rows(
    config: PatchConfig, split: str, pairs: PromptPairs, source: np.ndarray
) -> pl.DataFrame:
    """Return one row per statement of the unpatched source run, without a place in the curves."""
    persona, name = config.source, f"{split} source"
    return patched_runs.rows(pairs, source, persona, persona, name, schema=SCHEMA, split=split)


def ranks(orders: Orders, n_own: dict[str, int], sizes: list[int]) -> pl.DataFrame:
    """Return orders as a table: one row per rule, draw and head; rank 1 is the first head.

    Parameters
    ----------
    orders : dict of str to list of list of Head
        By rule.
    n_own : dict of str to int
        By rule, the number of heads that it ordered itself; all heads for a rule without an entry.
    sizes : list of int
        Sizes of the sets along the curves.

    Returns
    -------
    DataFrame
        With the columns of `ORDERS`. ``own``: whether the rule itself ranked the head; its other
        heads follow another rule. ``on_curve``: whether the set of the heads up to this rank is
        run. The empty set, which has no row, is always run.
    """
    return pl.DataFrame(
        [
            (rule, draw, rank, *head, rank <= n_own.get(rule, len(order)), rank in sizes)
            for rule, rule_orders in orders.items()
            for draw, order in enumerate(rule_orders)
            for rank, head in enumerate(order, start=1)
        ],
        schema=ORDERS,
        orient="row",
    )
