"""The whole experiment in three panels that share one axis."""

from typing import cast

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import load, marks, patching, places, registry, style
from stages.lib.drawing.columns import BEHAVIOUR, HEADS, SETS, TRANSPLANT, WINDOWS


def draw(tables: load.Tables) -> Figure:
    """Accuracy by persona, of the patched run by window, and with the head set patched."""
    source, base = tables.source, tables.base
    looks = style.looks(tables.personas) | patching.entries(tables, patching.RUNS)
    figure = style.canvas(
        f"Accuracy of each persona, and of {base} with z of {source} patched in",
        _caption(tables),
        height=5.0,
        entries=looks,
    )
    left, middle, right = figure.subplots(1, 3, sharey=True, width_ratios=[0.65, 1.15, 1.3])
    _personas(left, tables)
    _transplant(right, tables)
    patching.windows(middle, tables, "accuracy", "report")
    unpatched, windows, head_set = _counts(tables)
    n_heads = tables["heads/sets"]["head"].count()
    left.set_title(f"A  not patched\nall statements, n = {unpatched}")
    middle.set_title(f"B  {tables.window} layers patched\nknown statements, n = {windows}")
    n_random = patching.n_random(tables)
    right.set_title(
        f"C  {n_heads} heads patched\nknown statements, n = {head_set} (random: n = {n_random})"
    )
    for ax in (middle, right):
        ax.set_ylabel("")
    return figure


def _counts(tables: load.Tables) -> tuple[int, int, int]:
    """Return the numbers of statements of the three panels."""
    windows = tables["windows/windows"].filter(split="report")["n"].max() or 0
    return (
        load.counts(tables["behaviour/accuracy"]).get("all", 0),
        int(cast(int, windows)),
        load.counts(tables["transplant/transplant"]).get("all", 0),
    )


def _caption(tables: load.Tables) -> str:
    """Write how to read the three panels."""
    return (
        "Accuracy: fraction of statements judged correctly; a perfect liar has 0, a constant "
        "answer about 0.5. A: all statements, known to the model or not. B, C: statements that the "
        "model knows and that were not used to choose layers or heads. z: output of the attention "
        f"heads. Patched {tables.source}: z of {tables.base} in the {tables.source} run. Chosen: "
        "the window with the highest P(correct) on other statements. Small dots: topics; but "
        "random: one set of equally many heads per dot, from the same layers or from other layers, "
        f"on {patching.n_random(tables)} statements, horizontal dash: their mean; those of the "
        f"same layers may share heads with the head set. Bars and bands: {style.INTERVALS}."
    )


def _personas(ax: Axes, tables: load.Tables) -> None:
    """Draw the accuracy over all topics by persona, single topics as small dots."""
    rows = tables["behaviour/accuracy"].filter(measure="accuracy").rename({"value": "accuracy"})
    looks = style.looks(tables.personas)
    for place, (persona, look) in enumerate(looks.items()):
        _strip(ax, place, rows.filter(persona=persona), look)
    _names(ax, tables.personas)
    marks.rates(ax)


def _transplant(ax: Axes, tables: load.Tables) -> None:
    """Draw the accuracy over all topics by run, single topics as small dots."""
    titles, looks = patching.titles(tables), patching.looks(tables)
    for place, run in enumerate(patching.RUNS):
        rows = tables["transplant/transplant"].filter(run=run)
        if run in patching.CONTROLS:
            patching.cloud(ax, float(place), rows.filter(topic="all"), looks[run])
        else:
            _strip(ax, place, rows, looks[run])
    marks.unmeasured(ax, tables["transplant/transplant"], "accuracy")
    _names(ax, [titles[run] for run in patching.RUNS])
    marks.rates(ax)


def _strip(ax: Axes, place: int, rows: pl.DataFrame, look: style.Look) -> None:
    """Draw one run: all topics with their interval, and single topics beside them."""
    single = rows.filter(pl.col("topic") != "all")
    marks.strip(ax, place, single, "accuracy", look.colour, spread=0.22)
    total = rows.filter(topic="all")
    marks.points(ax, np.full(len(total), float(place)), total, "accuracy", look, size=13)


def _names(ax: Axes, names: list[str]) -> None:
    """Write names below the places, rotated if there are more than five."""
    places.names(ax, names, rotation=30 if len(names) > 5 else 0)
    ax.tick_params(axis="x", length=0)


TABLES = BEHAVIOUR | TRANSPLANT | WINDOWS | HEADS | SETS
FIGURES = (registry.Figure("overview.png", draw, TABLES),)
