"""The runs of a transplant, as its table names them."""

import polars as pl

from stages.lib.patching import patched_runs

SCHEMA = patched_runs.SCHEMA | {"run": pl.String, "draw": pl.Int32}
RUNS = ("source", "patched", "base", "reverse")
CONTROLS = ("random", "elsewhere")  # random sets of the set's layers, of the others
