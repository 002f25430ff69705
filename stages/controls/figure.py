"""Accuracy with other heads, or other values than the source's z, patched in."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import load, marks, patching, places, registry, style
from stages.lib.drawing.columns import INTERVAL, ROLES, floats, texts

RUNS = (
    "source",
    "patched",
    "base",
    "rest_of_layers",
    "rest_of_window",
    "mean_ablation_selection",
    "mean_ablation_report",
    "same_label",
    "other_label",
    "base_other_label",
    "reverse",
    "reverse_rest",
)


def draw(tables: load.Tables) -> Figure:
    """Draw the accuracy of each control beside the real patch."""
    rows = tables["controls/controls"]
    n = rows["n"].max() or 0
    figure = style.canvas(
        f"Controls: other heads, and other values than z of {tables.source}, in {tables.base}",
        f"Up to {n} known statements of the report split; dots: topics; marks: all topics, "
        f"{style.INTERVALS}. Rest: heads outside the set. Mean: z of {tables.source} averaged over "
        "the statements of one split. Another: z of another statement, the donor, of the same "
        "topic and about another subject. If z carries only whether to lie, z of another statement "
        f"does what the patch does, whatever its label; if z carries the answer, z of "
        f"{tables.source} of the other label gives accuracy 0, and z of {tables.base} of the other "
        f"label 1. Patched {tables.source}: the reverse.",
        height=6.4,
    )
    ax = figure.subplots()
    _measure(ax, rows.filter(measure="accuracy"), _titles(tables), _looks(tables))
    marks.rates(ax)
    return figure


def _titles(tables: load.Tables) -> dict[str, str]:
    """Give each run its title."""
    return patching.titles(tables) | {
        "rest_of_layers": "rest of the layers",
        "rest_of_window": "rest of the window",
        "mean_ablation_selection": "mean, selection split",
        "mean_ablation_report": "mean, report split",
        "same_label": "another, same label",
        "other_label": "another, other label",
        "base_other_label": f"another as {tables.base}, other label",
        "reverse_rest": f"patched {tables.source}, the rest",
    }


def _looks(tables: load.Tables) -> dict[str, style.Look]:
    """Give each run its look: of its persona, of the patch, or of its kind of control."""
    kinds = {"rest": style.RANDOM.colour, "mean": style.SECOND[1], "same": style.SECOND[0]}
    kinds |= dict.fromkeys(("other", "base"), style.SECOND[0]) | {"reverse": style.RANDOM.colour}
    own = patching.looks(tables)
    return {
        run: own.get(run) or style.Look(kinds[run.split("_")[0]], "s", style.DASHES[0])
        for run in RUNS
    }


def _measure(
    ax: Axes, rows: pl.DataFrame, title_of_run: dict[str, str], look_of_run: dict[str, style.Look]
) -> None:
    """Draw one measure of every run: a dot per topic, a mark with a bar for all statements."""
    runs = [run for run in RUNS if run in set(rows["run"])]
    if not runs:
        marks.nothing(ax, "no set was chosen")
        return
    for place, run in enumerate(runs):
        own = rows.filter(run=run)
        topics, total = (own.filter((pl.col("topic") == "all") == is_total) for is_total in (0, 1))
        marks.strip(ax, place + 0.18, topics, "value", style.CLOUD)
        marks.points(
            ax, np.full(len(total), float(place)), total, "value", look_of_run[run], size=10
        )
    marks.unmeasured(ax, rows, "value")
    places.names(ax, [title_of_run[run] for run in runs], rotation=30)


TABLES = {"controls/controls": texts("topic", "measure") | ROLES | floats("value") | INTERVAL}
FIGURES = (registry.Figure("controls.png", draw, TABLES),)
