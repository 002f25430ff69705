"""Names of the runs of stage `transplant`, and columns of their table."""

import polars as pl

from stages.lib.patching import patched_runs, roles

SCHEMA = patched_runs.SCHEMA | {"run": pl.String, "draw": pl.Int32}
CONTROLS = ("random", "elsewhere")  # random sets of the same layers, and of other layers
PERSONAS = roles.RUNS | dict.fromkeys(CONTROLS, roles.RUNS["patched"])
