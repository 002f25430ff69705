"""Answers of the model and accuracy of probes after truth is erased from z."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import load, marks, registry, style
from stages.lib.drawing.columns import ACCURACY, POINT, WINDOW, floats, ints, texts

NONE = "none"
ORACLE = style.Look(style.SECOND[2], "^", style.DASHES[3])
ERASED = {
    "leace": ("truth erased (LEACE)", style.PATCHED),
    "oracle": ("oracle: own labels used", ORACLE),
    "permuted": ("LEACE of permuted labels", style.RANDOM),
    "random": ("a random direction", style.ELSEWHERE),
}
WHOLE = style.Look(style.GREY, "o", "-")
# Lines of the probes, by probe and kind of z.
LEFT = {
    ("fresh", "whole"): ("probe fitted on the report split: whole z", WHOLE),
    ("fresh", "erased"): ("… erased z", style.PATCHED),
    ("fresh", "permuted"): ("… permuted labels erased", style.RANDOM),
    ("before", "erased"): ("probe of whole z of the selection split: erased z", ORACLE),
}


def draw(tables: load.Tables) -> Figure:
    """Draw accuracy by window, size and persona; below, accuracy of probes on erased z."""
    rows, probes = tables["erasure/windows"], tables["erasure/probes"]
    sizes = rows["size"].unique().sort().to_list()
    personas = [tables.source, tables.base]
    looks = style.looks(tables.personas)
    figure = style.canvas(
        "Truth erased from z: answers, and what probes still read",
        "Each head and position has an eraser, fitted on known statements of the selection split; "
        f"erased z of {rows['n'].max() or 0} of the report split is patched into the persona's own "
        "run, in all heads of a window of layers, at the last positions. The oracle knows the "
        "labels that it erases. Controls: permuted labels, a random direction. Bottom: logistic "
        f"regression on z of a layer at the last token ({probes['n'].max() or 0} statements at "
        f"most). Bands: {style.INTERVALS}.",
        height=3.6 * (len(sizes) + 1),
        entries={name: looks[name] for name in personas} | dict(ERASED.values()),
        half="0.5",
    )
    grid = figure.subplots(len(sizes) + 1, len(personas), squeeze=False)
    for column, persona in enumerate(personas):
        own = rows.filter(persona=persona)
        for row, size in enumerate(sizes):
            _windows(grid[row, column], own.filter(size=size), looks[persona])
            grid[row, column].set_title(f"{persona}, z of {size} layers")
        _probes(grid[-1, column], probes.filter(persona=persona))
        grid[-1, column].set_title(f"{persona}, probes")
    return figure


def _windows(ax: Axes, rows: pl.DataFrame, persona: style.Look) -> None:
    """Accuracy of every eraser, and of the unpatched run, by first layer."""
    looks = {NONE: persona} | {name: look for name, (_, look) in ERASED.items()}
    for name, look in reversed(looks.items()):
        own = rows.filter(eraser=name)
        for (_,), draw_ in own.group_by("draw", maintain_order=True):
            columns = ["first_layer", "accuracy"] + ["low", "high"] * (name == "leace")
            marks.line(ax, draw_.select(columns), "first_layer", "accuracy", look,
                       width=3 if name == "leace" else 1.8)  # fmt: skip
    marks.rates(ax)
    marks.unmeasured(ax, rows, "accuracy")
    ax.set_xticks(
        rows["first_layer"].unique().sort().to_list()[:: -(-rows["first_layer"].n_unique() // 15)]
    )
    ax.set_xlabel("first layer of the window")


def _probes(ax: Axes, rows: pl.DataFrame) -> None:
    """Accuracy of probes on whole and erased z, by layer."""
    if rows.is_empty():
        marks.nothing(ax, "no probe was fitted")
        return
    for (probe, z), (title, look) in LEFT.items():
        own = rows.filter(probe=probe, z=z)
        marks.line(ax, own, "layer", "accuracy", look)
        ax.lines[-1].set_label(title)
    marks.rates(ax)
    ax.set_xlabel("layer")
    ax.legend(loc="lower left", fontsize=10)


ERASER = texts("persona", "eraser") | ints("draw", "size")
TABLES = {
    "erasure/windows": ERASER | WINDOW | POINT | floats("answer_mass", "log_odds"),
    "erasure/probes": texts("persona", "probe", "z") | ints("layer") | ACCURACY,
}
FIGURES = (registry.Figure("erasure.png", draw, TABLES),)
