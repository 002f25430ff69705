"""The tables of `set_sizes`: what each run is called, and the heads in each order."""

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
Orders = dict[str, list[list[Head]]]  # by rule: one order of all heads, or several random ones


class Place(NamedTuple):
    """Where a run is in the curves: up patches in the `size` first heads, down all but these."""

    rule: str
    draw: int
    direction: str
    size: int


Probabilities = dict[Place, np.ndarray]


def rows(
    config: PatchConfig, split: str, pairs: PromptPairs, done: Probabilities
) -> list[pl.DataFrame]:
    """One row per statement and run: tables with the columns of `SCHEMA`.

    Parameters
    ----------
    config : PatchConfig
        Section `patch`.
    split : str
        That the statements are of.
    pairs : PromptPairs
        The statements.
    done : dict of Place to ndarray of shape (n_statements, 2)
        P(true) and P(false) of each run.
    """
    return [
        patched_runs.rows(
            pairs, probabilities, config.source, config.base, " ".join(map(str, (split, *place)))
        )
        .drop("heads")
        .with_columns(
            split=pl.lit(split), **{name: pl.lit(x) for name, x in place._asdict().items()}
        )
        for place, probabilities in done.items()
    ]


def source_rows(
    config: PatchConfig, split: str, pairs: PromptPairs, source: np.ndarray
) -> pl.DataFrame:
    """One row per statement of the unpatched source run, which has no place in the curves."""
    run = patched_runs.rows(pairs, source, config.source, config.source, f"{split} source")
    return run.drop("heads").with_columns(split=pl.lit(split))


def ranks(orders: Orders, own: dict[str, int], sizes: list[int]) -> pl.DataFrame:
    """Orders as a table: one row per rule, draw and head; rank 1 comes first.

    Parameters
    ----------
    orders : dict of str to list of list of Head
        By rule.
    own : dict of str to int
        By rule, the number of heads that it ordered itself; all for a rule that is not named.
    sizes : list of int
        Of the sets along the curves.

    Returns
    -------
    DataFrame
        With the columns of `ORDERS`: ``own`` is whether the rule itself put the head there, before
        it goes on as another rule; ``on_curve`` is whether the set of the heads up to this one is
        run. The empty set always is.
    """
    return pl.DataFrame(
        [
            (rule, draw, rank, *head, rank <= own.get(rule, len(order)), rank in sizes)
            for rule, some in orders.items()
            for draw, order in enumerate(some)
            for rank, head in enumerate(order, start=1)
        ],
        schema=ORDERS,
        orient="row",
    )
