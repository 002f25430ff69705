"""Column groups that many plot tables share, and schemas of tables that several figures read."""

import polars as pl

from stages.lib.io.tables import Schema


def texts(*names: str) -> Schema:
    """Make columns of text."""
    return dict.fromkeys(names, pl.String)


def ints(*names: str) -> Schema:
    """Make columns of whole numbers."""
    return dict.fromkeys(names, pl.Int64)


def floats(*names: str) -> Schema:
    """Make columns of real numbers."""
    return dict.fromkeys(names, pl.Float64)


def bounded(name: str) -> Schema:
    """Make the columns of a number with its own interval, for a table with several estimates."""
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
ESTIMATES = {
    "attribution_patching/attribution_patching": CELL
    | bounded("effect")
    | bounded("estimate")
    | ints("n")
    | {"wrong_sign": pl.Boolean}
}
