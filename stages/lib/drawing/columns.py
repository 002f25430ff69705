"""Columns of plot tables, by name: groups that many tables have, and tables of several figures."""

import polars as pl

from stages.lib.io.tables import Schema


def texts(*names: str) -> Schema:
    """Columns of text."""
    return dict.fromkeys(names, pl.String)


def ints(*names: str) -> Schema:
    """Columns of whole numbers."""
    return dict.fromkeys(names, pl.Int64)


def floats(*names: str) -> Schema:
    """Columns of real numbers."""
    return dict.fromkeys(names, pl.Float64)


def bounded(name: str) -> Schema:
    """A number with its own interval, where it stands beside another."""
    return floats(name, f"{name}_low", f"{name}_high")


INTERVAL = floats("low", "high") | ints("n")
ACCURACY = floats("accuracy") | INTERVAL
POINT = ACCURACY | bounded("p_correct")
ROLES = texts("run", "source", "base")
WINDOW = ints("first_layer", "last_layer")
CELL = ints("layer", "head")
PAIR = texts("fit", "scored")

BEHAVIOUR = {
    "behaviour/accuracy": texts("persona", "topic", "measure") | floats("value") | INTERVAL
}
PROBES = {"probes/layers": texts("site", "labels") | PAIR | ints("layer") | ACCURACY}
WINDOWS = {"windows/windows": texts("split") | ROLES | WINDOW | POINT}
HEADS = {"heads/heads": texts("measure") | CELL | POINT | bounded("effect")}
SETS = {"heads/sets": ints("size") | CELL | POINT | floats("recovered")}
TRANSPLANT = {"transplant/transplant": texts("topic") | ROLES | ints("draw") | POINT}
