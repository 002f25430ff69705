"""Localisation methods where the changed heads are known, and the dose that they need."""

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
    ("auroc_inside", "C  needed, in their layers"),
)
LIMITS = (0.0, 1.0)
MOST = 8  # organisms whose cells are wide enough for a number
FALSE_ALARMS = 0.05  # fraction of heads of the model that never lies
LOOKS = {  # of methods that rank heads, as in other figures
    "attribution": style.RULES["estimate"],
    "single_heads": style.RULES["single"],
    "greedy": style.RULES["greedy_p_correct"],
    "integrated_gradients": style.Look(style.SECOND[4], "P", "-"),
}


def draw(tables: load.Tables) -> Figure:
    """Draw AUROC per method and organism, and the fraction of changed heads found per dose."""
    rows, doses = tables["benchmark/methods"], tables["benchmark/doses"]
    figure = style.canvas(
        "AUROC of methods of localisation, on models whose changed heads are known",
        "A: area under the ROC curve of a method's scores for the heads whose weights an organism "
        "changes; chance is 0.5 (white). An organism's number is that of its changed heads, drawn "
        "at random. B: AUROC for the needed heads: undoing the weight change of one of them "
        "recovers more than 0.1 of the gap in log-odds, with an interval above 0. C: as B, among "
        "the heads of layers with a changed head. Rows: by mean in B, best first; the last ones "
        "are no methods. Random: drawn once, and can be far from 0.5 where few heads are needed. "
        "Last: patched at the last positions. D: fraction of changed heads that score above 95 % "
        "of the heads of the model that never lies, by fraction of the weight change that is "
        "merged in; mean over organisms.",
        height=11.4,
    )
    grid = figure.add_gridspec(2, 3, height_ratios=[2.6, 1])
    axes = [figure.add_subplot(grid[0, i]) for i in range(3)]
    methods = _best_first(rows)
    for ax, (value, title) in zip(axes, SIDES, strict=True):
        _table(ax, rows, value, methods)
        ax.set_title(title)
    for ax in axes[1:]:
        ax.set_yticks([])
    if rows["auroc"].is_not_null().any():
        heat.colour_bar(figure, axes, LIMITS, "AUROC")
    below, legend = figure.add_subplot(grid[1, :2]), figure.add_subplot(grid[1, 2])
    _doses(below, doses)
    below.set_title("D  changed heads found, by dose")
    legend.set_axis_off()
    legend.legend(*below.get_legend_handles_labels(), loc="center left")
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
        ax, scored_rows, value, ("method", methods), ("organism", organisms), LIMITS
    )
    for (y, x), number in np.ndenumerate(cells if len(organisms) <= MOST else cells[:0]):
        if np.isfinite(number):
            pale, digits = 0.2 < number < 0.8, f"{number:.2f}".removeprefix("0")
            ax.text(x + 0.5, y + 0.5, digits, ha="center", va="center", fontsize=12,
                    color="black" if pale else "white")  # fmt: skip
    ax.set_yticks(
        [y + 0.5 for y in range(len(methods))], [NAMES[name] for name in methods], rotation=0
    )
    ax.set_xticks([x + 0.5 for x in range(len(organisms))], organisms, rotation=35, ha="right",
                  rotation_mode="anchor")  # fmt: skip


def _doses(ax: Axes, doses: pl.DataFrame) -> None:
    """Share of changed heads that each method finds at each dose, mean over organisms."""
    if doses.is_empty():
        marks.nothing(ax, NOTHING)
        return
    means = doses.group_by("method", "dose").agg(pl.col("detected").mean()).sort("method", "dose")
    for (name,), rows in means.group_by("method", maintain_order=True):
        look = _look(str(name))
        ax.plot(rows["dose"], rows["detected"], color=look.colour, marker=look.marker,
                linestyle=look.dash, linewidth=2.2, markersize=9, markeredgecolor="white",
                label=NAMES[str(name)])  # fmt: skip
    ax.axhline(FALSE_ALARMS, color="black", linewidth=1.2, linestyle=style.HALF,
               label=f"chance ({FALSE_ALARMS:g})")  # fmt: skip
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.03, 1.03))
    ax.set_xlabel("fraction of the weight change merged in")
    ax.set_ylabel("fraction of changed heads")


def _look(method: str) -> style.Look:
    """Return the look of a method; of one at the last positions, another of the same colour."""
    ranking = method.removesuffix("_last")
    look = LOOKS.get(ranking, style.Look(style.GREY, "o", "-"))
    return look if ranking == method else style.Look(look.colour, "v", style.DASHES[3])


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
