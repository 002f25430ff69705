"""Localisation methods on known lying heads, and the dose from which on they find them."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.benchmark.config import NAMES, NO_METHODS
from stages.lib.drawing import heat, load, marks, registry, style
from stages.lib.drawing.columns import bounded, floats, ints, texts

NOTHING = "the benchmark has no organism:\nmake benchmark runs it"
SIDES = (
    ("auroc", "A  changed heads"),
    ("auroc_needed", "B  needed heads"),
    ("auroc_inside", "C  in their layers"),
)
DOSED = style.looks([*NAMES])


def draw(tables: load.Tables) -> Figure:
    """Draw AUROC per method and organism, and the share of changed heads found per dose."""
    rows, doses = tables["benchmark/methods"], tables["benchmark/doses"]
    labels = {str(name): NAMES[str(name)] for name in doses["method"].unique().sort()}
    figure = style.canvas(
        "Methods of localisation on models whose lying heads are known",
        "Organisms with a number: the lie is confined to that many heads, drawn at random; other "
        "organisms have no exact truth. A: area under the ROC curve of a method's scores against "
        "all of these heads; 0.5 is chance. B: the same against those without whose change of "
        "weights alone more than 0.1 of the gap in log-odds comes back. C: as B, among the heads "
        "of layers that have a changed head. D: share of changed heads whose score is above that "
        "of 19 of 20 heads of the model that never lies, by share of the change of weights that is "
        "merged in; mean over organisms. Last: at the last positions. "
        "Rows: by mean in B; below, scores that are no methods.",
        height=8.6,
        entries={f"D: {text}": DOSED[name] for name, text in labels.items()} or None,
        half="half",
    )
    axes = figure.subplots(1, 4, width_ratios=[3, 3, 3, 2.2])
    methods = _best_first(rows)
    for ax, (value, title) in zip(axes, SIDES, strict=False):
        _table(ax, rows, value, methods)
        ax.set_title(title)
    for ax in axes[1:3]:
        ax.set_yticklabels([])
    _doses(axes[3], doses)
    axes[3].set_title("D  by dose")
    return figure


def _best_first(rows: pl.DataFrame) -> list[str]:
    """List methods by their mean AUROC for the needed heads, as the report does; then the rest."""
    exact = rows.filter(pl.col("exact")).group_by("method").agg(pl.col("auroc_needed").mean())
    means = dict(exact.iter_rows())
    names = [name for name in NAMES if name in rows["method"].to_list()]
    return sorted(names, key=lambda name: (name in NO_METHODS, -(means.get(name) or 0.0)))


def _table(ax: Axes, rows: pl.DataFrame, value: str, methods: list[str]) -> None:
    """Heatmap of one number per method and organism."""
    scored_rows = rows.filter(pl.col(value).is_not_null())
    if scored_rows.is_empty():
        marks.nothing(ax, NOTHING)
        return
    organisms = scored_rows["organism"].unique(maintain_order=True).to_list()
    cells = heat.matrix(
        ax, scored_rows, value, ("method", methods), ("organism", organisms), (0.0, 1.0)
    )
    for (y, x), number in [
        ((y, x), cells[y, x]) for y in range(len(methods)) for x in range(len(organisms))
    ]:
        if np.isfinite(number):
            pale = 0.2 < number < 0.8
            ax.text(x + 0.5, y + 0.5, f"{number:.2f}", ha="center", va="center", fontsize=8.5,
                    color="black" if pale else "white")  # fmt: skip
    ax.set_yticks(
        [y + 0.5 for y in range(len(methods))], [NAMES[name] for name in methods], rotation=0
    )
    ax.set_xticks([x + 0.5 for x in range(len(organisms))], organisms, rotation=60, ha="right")


def _doses(ax: Axes, doses: pl.DataFrame) -> None:
    """Share of changed heads that each method finds at each dose, mean over organisms."""
    if doses.is_empty():
        marks.nothing(ax, NOTHING)
        return
    means = doses.group_by("method", "dose").agg(pl.col("detected").mean()).sort("method", "dose")
    for (name,), rows in means.group_by("method", maintain_order=True):
        look = DOSED[str(name)]
        ax.plot(rows["dose"], rows["detected"], color=look.colour, marker=look.marker,
                linestyle=look.dash, linewidth=2.2, markeredgecolor="white")  # fmt: skip
    ax.set(xlim=(0, 1), ylim=(-0.02, 1.02))
    ax.axhline(0.5, color="black", linestyle=style.HALF)
    ax.set_xlabel("share merged in")
    ax.set_ylabel("share of the changed heads")


TABLES = {
    "benchmark/methods": texts("organism", "method")
    | {"exact": pl.Boolean()}
    | bounded("auroc")
    | bounded("auroc_needed")
    | bounded("auroc_inside")
    | bounded("cpr")
    | bounded("cmd")
    | ints("passes"),
    "benchmark/doses": texts("organism", "method")
    | floats("dose", "detected", "false_alarms", "auroc"),
}
FIGURES = (registry.Figure("benchmark.png", draw, TABLES),)
