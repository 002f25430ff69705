"""Columns of the tables of `trace`, and the places of a prompt that are patched."""

import polars as pl

from stages.lib.io import tables
from stages.lib.patching.blocks import BLOCKS

LAST_TOKEN, LAST, ALL = "last token", "last {}", "all"  # LAST is formatted with patch.positions
PARTS = (*BLOCKS, LAST_TOKEN)
"""Disjoint places: the blocks without the last token, and the last token."""

RUNS: tables.Schema = tables.PATCHED | {"layer": pl.Int32, "block": pl.String, "head": pl.Int32}
"""One row per statement and run. Without a head, all heads of the layer were patched; without a
layer, nothing was patched."""

THROUGH, AROUND = "through", "around"
PATHS: tables.Schema = tables.PATCHED | {
    "run": pl.String,
    "writer_layer": pl.Int32,
    "writer_block": pl.String,
    "reader_layer": pl.Int32,
    "reader_block": pl.String,
}
"""One row per statement, path and run. ``through``: the reader has the z that it computes when the
writer is patched, and nothing else is patched. ``around``: the writer is patched, and the reader
keeps the z of the base run."""

ESTIMATES: tables.Schema = {
    "statement_id": pl.String,
    "layer": pl.Int32,
    "head": pl.Int32,
    "estimate": pl.Float64,
}
"""One row per statement and head: estimate by attribution patching at all paired positions."""
