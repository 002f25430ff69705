"""Runs that show the effect of single heads: patched in alone, or left out of the window."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from stages.lib.io import tables
from stages.lib.patching import patched_runs
from stages.lib.patching.patch import Head

ALONE, LEFT_OUT = "alone", "left_out"
# Output of stage `attribution_patching`: effect of patching each head alone, estimated and true,
# in nats.
EFFECTS: tables.Schema = {
    "statement_id": pl.String,
    "layer": pl.Int32,
    "head": pl.Int32,
    "estimate": pl.Float64,
    "effect": pl.Float64,
}


def name(kind: str, heads: Iterable[Head]) -> str:
    """Return the `patch_id` of a run of some heads: the kind, then layer and head of each.

    Parameters
    ----------
    kind : str
        Such as ``alone`` or ``left_out``.
    heads : iterable of Head
        The heads, in the order of the name.
    """
    return " ".join([kind, *(f"{head.layer}.{head.head}" for head in heads)])


def head_of(patch_id: str) -> Head:
    """Return the head of a run of one head: the inverse of `name`."""
    _, place = patch_id.split(" ")
    layer, head = map(int, place.split("."))
    return Head(layer, head)


def pairs(runs: pl.DataFrame, measure: str) -> list[tuple[Head, np.ndarray, np.ndarray]]:
    """Pair, for each head, the run with the head patched in and the run without it.

    Parameters
    ----------
    runs : DataFrame
        With the columns of `patched_runs.SCHEMA`. A `patch_id` is ``none``, ``window``, or of
        `name` for one head, such as ``alone 22.0``.
    measure : str
        ``alone`` compares the head alone with the base run; ``left_out`` compares all heads of the
        window with all heads but this one.

    Returns
    -------
    list of tuple
        Head, and P(true) and P(false) of the runs with and without it: (n_statements, 2), float32,
        sorted by `statement_id`. One tuple per head, sorted by head.
    """
    head_rows = runs.filter(pl.col("patch_id").str.starts_with(f"{measure} ")).sort("statement_id")
    reference = patched_runs.probabilities(
        runs, patch_id=patched_runs.UNPATCHED if measure == ALONE else "window"
    )
    runs_of_heads: list[tuple[Head, np.ndarray, np.ndarray]] = []
    for (patch_id,), rows in head_rows.group_by("patch_id"):
        head_run = patched_runs.probabilities_of(rows)
        present, absent = (head_run, reference) if measure == ALONE else (reference, head_run)
        runs_of_heads.append((head_of(str(patch_id)), present, absent))
    return sorted(runs_of_heads, key=lambda entry: entry[0])
