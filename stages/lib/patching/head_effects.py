"""What one head does, from a table of patched runs: patched in alone, or left out of the window."""

import numpy as np
import polars as pl

from stages.lib.io import tables
from stages.lib.patching import patched_runs
from stages.lib.patching.patch import Head

ALONE, LEFT_OUT = "alone", "left_out"
# Effects of each head's patch alone, estimated and true, in nats: what stage `attribution_patching`
# writes.
EFFECTS: tables.Schema = {
    "statement_id": pl.String,
    "layer": pl.Int32,
    "head": pl.Int32,
    "estimate": pl.Float64,
    "effect": pl.Float64,
}


def pairs(runs: pl.DataFrame, measure: str) -> list[tuple[Head, np.ndarray, np.ndarray]]:
    """Pair, for each head, the run with the head and the run without it.

    Parameters
    ----------
    runs : DataFrame
        With the columns of `patched_runs.SCHEMA`; a `patch_id` is ``none``, ``window``, or a
        measure with a layer and a head, such as ``alone 22.0``.
    measure : str
        ``alone``: the head alone against the base run. ``left_out``: all heads of the window
        against all but the head.

    Returns
    -------
    list of tuple
        Head, and P(true) and P(false) of both runs: (n_statements, 2), float32, sorted by
        `statement_id`. Sorted by head.
    """
    named = runs.filter(pl.col("patch_id").str.starts_with(f"{measure} ")).sort("statement_id")
    other = patched_runs.probabilities(runs, patch_id="none" if measure == ALONE else "window")
    runs_of_heads: list[tuple[Head, np.ndarray, np.ndarray]] = []
    for (name,), rows in named.group_by("patch_id"):
        layer, head = map(int, str(name).removeprefix(f"{measure} ").split("."))
        own = rows.select("p_true", "p_false").to_numpy()
        present, absent = (own, other) if measure == ALONE else (other, own)
        runs_of_heads.append((Head(layer, head), present, absent))
    return sorted(runs_of_heads, key=lambda one: one[0])
