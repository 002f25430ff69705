"""The head set on held-out statements, beside random sets."""

import itertools

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import load, marks, patching, places, registry, style
from stages.lib.drawing.columns import TRANSPLANT
from stages.lib.facts import NEGATED

MEASURED = [run for run in patching.RUNS if run not in patching.CONTROLS]


def draw(tables: load.Tables) -> Figure:
    """Draw the head set on the report split, its reverse, and random sets; then each topic."""
    rows = tables["transplant/transplant"]
    figure = style.canvas(
        "Accuracy with the head set patched, and with random sets of equal size",
        f"Patched {tables.base}: z of the set's heads from {tables.source} patched into "
        f"{tables.base}; patched {tables.source}: the reverse. Known statements of the report "
        f"split. A: {load.counts(rows).get('all', 0)} statements; random: "
        f"{len(patching.random(tables))} sets of each kind, from the layers of the head set or "
        f"from other layers, on {patching.n_random(tables)} of the statements; one dot per set, "
        "horizontal dash: their mean; a set of the same layers may share heads with the head set. "
        "B: number of statements in brackets; random sets are too "
        f"few statements per topic to be shown. Bars: {style.INTERVALS}.",
        height=7.2,
        entries=patching.entries(tables, patching.RUNS),
        lines=False,
    )
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.15])
    _all(left, rows.filter(topic="all"), tables)
    _topics(right, rows, tables)
    left.set_title("A  all topics")
    right.set_title("B  each topic")
    return figure


def _all(ax: Axes, rows: pl.DataFrame, tables: load.Tables) -> None:
    """Draw all runs over all topics side by side."""
    look_of_run, title_of_run = patching.looks(tables), patching.titles(tables)
    for place, run in enumerate(patching.RUNS):
        own = rows.filter(run=run)
        if run in patching.CONTROLS:
            patching.cloud(ax, float(place), own, look_of_run[run])
        else:
            at = np.full(len(own), float(place))
            marks.points(ax, at, own, "accuracy", look_of_run[run], size=11)
    places.names(ax, [title_of_run[run].replace(" ", "\n") for run in patching.RUNS])
    marks.unmeasured(ax, rows, "accuracy")
    marks.rates(ax)


def _topics(ax: Axes, rows: pl.DataFrame, tables: load.Tables) -> None:
    """Draw the head set and its reverse in each topic, plain and negated topics in pairs."""
    look_of_run, counts = patching.looks(tables), load.counts(rows)
    topics = sorted(load.topics(rows), key=lambda name: (_plain(name), name != _plain(name)))
    rows = rows.filter(pl.col("topic") != "all")
    where = {topic: float(i) for i, topic in enumerate(topics)}
    for run, y, own in places.dodged(rows, "run", MEASURED, "topic", where):
        marks.across(ax, y, own, "accuracy", look_of_run[run], size=8)
    places.names_down(ax, [f"{topic} ({counts.get(topic, 0)})" for topic in topics])
    for i, (one, other) in enumerate(itertools.pairwise(topics)):
        if _plain(one) != _plain(other):
            ax.axhline(i + 0.5, color="#B0B0B0", linewidth=0.8)
    marks.unmeasured(ax, rows, "accuracy")
    marks.rates_across(ax)


def _plain(topic: str) -> str:
    """Return the name of a topic without the mark of negation."""
    return topic.removeprefix(NEGATED)


FIGURES = (registry.Figure("transplant.png", draw, TRANSPLANT),)
