"""Columns of the table of runs, and what names the runs in it."""

import polars as pl

from stages.lib.io import tables
from stages.lib.patching import patched_runs

ALL = "all"  # stands for every block
UNPATCHED = "none"  # patch_id of unpatched runs beside the last positions …
UNPATCHED_BLOCKS = "none_blocks"  # … and beside the blocks, whose batches and digits are their own
WRITTEN = ("window", "set")  # what is patched in: the best window, or the head set
SCHEMA: tables.Schema = patched_runs.SCHEMA | {"written": pl.String, "run": pl.String}
SCHEMA |= {"block": pl.String, "draw": pl.Int32, "positions": pl.Int32}
