"""Columns of the table of runs, and the names of the runs in it."""

import polars as pl

from stages.lib.io import tables
from stages.lib.patching import patched_runs

ALL = "all"  # stands for every block
UNPATCHED = patched_runs.UNPATCHED  # of the runs beside the last positions
UNPATCHED_BLOCKS = "none_blocks"  # and beside the blocks: other batches, so other rounding
PATCHED = ("window", "set")  # names of the patches: all heads of the best window, the head set
SCHEMA: tables.Schema = patched_runs.SCHEMA | {"patched": pl.String, "run": pl.String}
SCHEMA |= {"block": pl.String, "draw": pl.Int32, "positions": pl.Int32}
