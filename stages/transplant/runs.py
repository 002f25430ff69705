"""Names of the runs of stage `transplant`, and columns of their table."""

import polars as pl

from stages.lib.patching import patched_runs

SCHEMA = patched_runs.SCHEMA | {"run": pl.String, "draw": pl.Int32}
CONTROLS = ("random", "elsewhere")  # random sets of the same layers, and of other layers
# Role of the persona that gives z, and role of the persona whose run is patched.
PERSONAS = {
    "source": ("source", "source"),
    "patched": ("source", "base"),
    "base": ("base", "base"),
    "reverse": ("base", "source"),
    **dict.fromkeys(CONTROLS, ("source", "base")),
}
RUNS = tuple(run for run in PERSONAS if run not in CONTROLS)
