"""Columns of the table of runs."""

import polars as pl

from stages.lib.io import tables
from stages.lib.patching import patched_runs

SCHEMA: tables.Schema = patched_runs.SCHEMA | {
    "wording": pl.String,
    "chosen_on": pl.String,
    "set": pl.String,
}
