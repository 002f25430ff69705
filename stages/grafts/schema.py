"""Columns and key of the table of runs with grafted weights."""

import polars as pl

from stages.lib.io import tables

SCHEMA: tables.Schema = tables.PATCHED | {
    "run": pl.String,
    "unit": pl.String,
    "layer": pl.Int32,
    "index": pl.Int32,
    "map": pl.String,
    "size": pl.Float64,
    "heads": pl.List(pl.Struct({"layer": pl.Int32, "head": pl.Int32})),
}
"""One row per statement and graft. ``without``: the unit's weights are those of the model that
never lies, all other weights the liar's; ``alone``: the reverse. `index` is the head, or the group
of heads that share keys and values; `size` is the Frobenius norm of the unit's change of weights.
Unit `set` is the smallest set of heads without whose change the model is honest, `rest` is all
other heads."""
KEY = ["statement_id", "base", "patch_id"]
