"""The head set on held-out statements, beside random sets."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import load, marks, patching, places, registry, style
from stages.lib.drawing.columns import TRANSPLANT


def draw(tables: load.Tables) -> Figure:
    """Draw the head set on the report split of every topic, its reverse, and random sets."""
    figure = style.canvas(
        "The head set patched, by topic, beside random sets of equal size",
        f"Patched {tables.base}: z of the set's heads from {tables.source} patched into "
        f"{tables.base}; patched {tables.source}: the reverse. Random: "
        f"{len(patching.random(tables))} sets of each kind, from the layers of the head set or "
        f"from other layers, one dot each, their mean a bar, on {patching.n_random(tables)} of the "
        "statements. Known statements of the report split. "
        f"Bars: {style.INTERVALS}.",
        height=5.6,
        entries=patching.entries(tables, patching.RUNS),
        lines=False,
        half="0.5",
    )
    ax = figure.subplots()
    rows = tables["transplant/transplant"]
    _runs(ax, rows, tables)
    marks.unmeasured(ax, rows, "accuracy")
    marks.rates(ax)
    return figure


def _runs(ax: Axes, rows: pl.DataFrame, tables: load.Tables) -> None:
    """Draw all runs side by side at each topic."""
    look_of_run, x_of_topic = patching.looks(tables), places.topics(ax, rows)
    for run, x, run_rows in places.dodged(rows, "run", patching.RUNS, "topic", x_of_topic):
        if run in patching.CONTROLS:
            patching.cloud(ax, x, run_rows, look_of_run[run])
        else:
            marks.points(ax, x, run_rows, "accuracy", look_of_run[run], size=9)


FIGURES = (registry.Figure("transplant.png", draw, TRANSPLANT),)
