"""Accuracy with other heads, or other values than the source's z, patched in."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import load, marks, patching, places, registry, style
from stages.lib.drawing.columns import INTERVAL, ROLES, floats, texts

HEADS = style.Look(style.RANDOM.colour, "s", style.DASHES[0])
MEAN = style.Look(style.SECOND[1], "s", style.DASHES[0])
DONOR = style.Look(style.SECOND[0], "s", style.DASHES[0])
TOPIC = style.RANDOM


def draw(tables: load.Tables) -> Figure:
    """Draw the accuracy of each control beside the real patch."""
    rows = tables["controls/controls"]
    source, base = tables.source, tables.base
    figure = style.canvas(
        f"Accuracy with other heads, or other activations, patched into {base}",
        f"Up to {rows['n'].max() or 0} known statements of the report split. z: output of the "
        f"attention heads; patched {base}: z of {source}, of the heads of the set, in the {base} "
        f"run; patched {source}: the reverse. Other heads: those outside the set. Mean: over the "
        "statements of one split. Another statement: of the same topic, about another subject. If "
        "z carries only whether to lie, z of another statement does what the patch does, whatever "
        f"its label; if z carries the answer, z of {source} with the opposite label gives accuracy "
        f"0, and that of {base} gives 1. Bars: {style.INTERVALS}.",
        height=7.2,
        entries=patching.entries(tables, ("source", "patched", "base", "reverse"))
        | {"other heads": HEADS, "mean z": MEAN, "z of another statement": DONOR}
        | {"one topic": TOPIC},
        lines=False,
    )
    ax = figure.subplots()
    _runs(ax, rows.filter(measure="accuracy"), _runs_shown(tables))
    marks.rates_across(ax)
    return figure


def _runs_shown(tables: load.Tables) -> dict[str, tuple[str, style.Look]]:
    """Give each run its label and look, in drawing order."""
    source, base, looks = tables.source, tables.base, patching.looks(tables)
    return {
        "source": (f"{source}, not patched", looks["source"]),
        "base": (f"{base}, not patched", looks["base"]),
        "patched": (f"patched {base}: the head set", looks["patched"]),
        "rest_of_layers": ("other heads of the same layers", HEADS),
        "rest_of_window": ("other heads of the window", HEADS),
        "mean_ablation_selection": (f"mean z of {source}, selection split", MEAN),
        "mean_ablation_report": (f"mean z of {source}, report split", MEAN),
        "same_label": (f"z of {source}, another statement, same label", DONOR),
        "other_label": (f"z of {source}, another statement, opposite label", DONOR),
        "base_other_label": (f"z of {base}, another statement, opposite label", DONOR),
        "reverse": (f"patched {source}: the head set", looks["reverse"]),
        "reverse_rest": (f"patched {source}: other heads of the window", HEADS),
    }


def _runs(ax: Axes, rows: pl.DataFrame, shown: dict[str, tuple[str, style.Look]]) -> None:
    """Draw every run in a row: a mark with a bar for all statements, a dot per topic below."""
    runs = [run for run in shown if run in set(rows["run"])]
    if not runs:
        marks.nothing(ax, "no set was chosen")
        return
    for place, run in enumerate(runs):
        own = rows.filter(run=run)
        topics, total = (own.filter((pl.col("topic") == "all") == is_total) for is_total in (0, 1))
        below = place + 0.2 + 0.04 * (np.arange(len(topics)) % 6)
        ax.plot(marks.numbers(topics, "value"), below, ".", color=TOPIC.colour, markersize=7)
        at = np.full(len(total), float(place))
        marks.across(ax, at, total, "value", shown[run][1], size=10)
    marks.unmeasured(ax, rows, "value")
    places.names_down(ax, [shown[run][0] for run in runs])


TABLES = {"controls/controls": texts("topic", "measure") | ROLES | floats("value") | INTERVAL}
FIGURES = (registry.Figure("controls.png", draw, TABLES),)
