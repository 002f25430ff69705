"""The tables of runs with erased z, and of probes on it: their columns, and the erasers."""

import polars as pl

from stages.lib.io import tables

NONE = "none"  # the unpatched run
LEACE, ORACLE = "leace", "oracle"
CONTROLS = ("permuted", "random")
RUNS: tables.Schema = tables.PATCHED | {
    "eraser": pl.String,
    "draw": pl.Int32,
    "first_layer": pl.Int32,
    "last_layer": pl.Int32,
    "removed": pl.Float64,  # fraction of z's variance that is erased, over all layers
}

Z = ("unerased", "erased", "permuted")  # permuted: LEACE of permuted labels
PROBES = ("fitted", "report", "before", "fresh")
PROBED: tables.Schema = {
    "persona": pl.String,
    "probe": pl.String,
    "z": pl.String,
    "layer": pl.Int32,
    "statement_id": pl.String,
    "correct": pl.Boolean,
}
