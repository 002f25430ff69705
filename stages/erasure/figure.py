"""Answers of the model and accuracy of probes after truth is erased from z."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import load, marks, registry, style
from stages.lib.drawing.columns import ACCURACY, POINT, WINDOW, floats, ints, texts

NONE = "none"
LEACE = style.Look(style.SECOND[0], "D", "-")
ORACLE = style.Look(style.SECOND[2], "^", style.DASHES[3])
ERASED = {
    "leace": ("truth erased (LEACE)", LEACE),
    "oracle": ("oracle", ORACLE),
    "permuted": ("LEACE of permuted labels", style.RANDOM),
    "random": ("a random direction", style.ELSEWHERE),
}
UNERASED = ("fresh", "unerased")  # in the persona's own look
# Lines of the probes, by probe and kind of z.
LEFT = {
    ("fresh", "erased"): ("fitted and scored on erased z", LEACE),
    ("fresh", "permuted"): ("the same, permuted labels erased", style.RANDOM),
    ("before", "erased"): (
        "fitted on unerased z, scored on erased z",
        style.Look(style.SECOND[4], "v", style.DASHES[4]),
    ),
}


def draw(tables: load.Tables) -> Figure:
    """Draw accuracy by window, size and persona; below, accuracy of probes on erased z."""
    rows, probes = tables["erasure/windows"], tables["erasure/probes"]
    sizes = rows["size"].unique().sort().to_list()
    personas = [tables.source, tables.base]
    looks = style.looks(tables.personas)
    figure = style.canvas(
        "Accuracy of answers, and of truth probes, with the truth erased from z",
        "Each head and position has an eraser, fitted on known statements of the selection split; "
        f"erased z of {rows['n'].max() or 0} of the report split is patched into the persona's own "
        "run, in all heads of a window of layers, at the last positions. Oracle: eraser fitted on "
        "the evaluated labels. Controls: permuted labels, a random direction; all of their draws "
        "are in the window nearest to the best one, others have one. Bottom: logistic regression "
        "on z of a layer at the last token, scored on the report split "
        f"({probes['n'].max() or 0} statements at most) and fitted on its other subjects; fitted "
        "on unerased z, scored on erased z: fitted on the selection split. "
        f"Bands: {style.INTERVALS}.",
        height=3.6 * (len(sizes) + 1),
        entries={name: looks[name] for name in personas} | dict(ERASED.values()),
    )
    grid = figure.subplots(len(sizes) + 1, len(personas), squeeze=False)
    for column, persona in enumerate(personas):
        own = rows.filter(persona=persona)
        for row, size in enumerate(sizes):
            _windows(grid[row, column], own.filter(size=size), looks[persona])
            grid[row, column].set_title(
                f"{persona}: truth erased in {size} layer{'s' * (size > 1)}"
            )
        _probes(grid[-1, column], probes.filter(persona=persona), looks[persona])
        grid[-1, column].set_title(f"{persona}: truth probes on z")
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


def _probes(ax: Axes, rows: pl.DataFrame, persona: style.Look) -> None:
    """Accuracy of probes on unerased and erased z, by layer."""
    if rows.is_empty():
        marks.nothing(ax, "no probe was fitted")
        return
    lines = {UNERASED: ("fitted and scored on unerased z", persona)} | LEFT
    for (probe, z), (title, look) in lines.items():
        own = rows.filter(probe=probe, z=z)
        marks.line(ax, own, "layer", "accuracy", look)
        ax.lines[-1].set_label(title)
    marks.rates(ax)
    ax.set_xlabel("layer")
    ax.legend(loc="lower left", fontsize=12, labelspacing=0.2)


ERASER = texts("persona", "eraser") | ints("draw", "size")
TABLES = {
    "erasure/windows": ERASER | WINDOW | POINT | floats("answer_mass", "log_odds"),
    "erasure/probes": texts("persona", "probe", "z") | ints("layer") | ACCURACY,
}
FIGURES = (registry.Figure("erasure.png", draw, TABLES),)
