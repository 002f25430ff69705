"""Windows of several sizes, in both directions."""

import polars as pl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import load, marks, patching, places, registry, style
from stages.lib.drawing.columns import POINT, ROLES, WINDOW, ints, texts

LIGHT, DARK = "#8FD6C2", "#00402F"  # of the smallest and of the largest windows
CONTROL = "control windows"


def draw(tables: load.Tables) -> Figure:
    """p_correct by first layer for each size, and the best windows by topic, in both directions."""
    layers, topics = tables["widths/layers"], tables["widths/topics"]
    sizes: list[int] = layers["size"].unique(maintain_order=True).to_list()
    runs = patching.looks(tables)
    looks = _looks(sizes)
    called = {f"{size} layer{'s' * (size > 1)}": look for size, look in looks.items()}
    figure = style.canvas(
        "Windows of several sizes, in both directions",
        f"Above: z of all heads of a window patched, {layers['n'].max() or 0} known statements of "
        "the selection split; p_correct is the mean probability of the right answer out of both; "
        "ringed: the best window of each size, of the highest p_correct in the patched "
        f"{tables.base} and of the lowest in the patched {tables.source}. Below: these windows on "
        f"{topics['n'].max() or 0} known statements of the report split, each beside its control, "
        "the median one of those windows of its size that share no layer with it (a small dot). "
        f"Bands and bars: {style.INTERVALS}.",
        height=12.4,
        entries={tables.source: runs["source"], tables.base: runs["base"], **called}
        | {CONTROL: style.RANDOM},
        half="0.5",
    )
    grid = figure.add_gridspec(3, 2)
    for i, run in enumerate(("patched", "reverse")):
        _curves(figure.add_subplot(grid[0, i]), tables, run, looks)
        _topics(figure.add_subplot(grid[1 + i, :]), tables, run, looks)
    return figure


def _looks(sizes: list[int]) -> dict[int, style.Look]:
    """One look for each size: the larger the darker."""
    colours = sns.blend_palette([LIGHT, DARK], max(2, len(sizes))).as_hex()
    return {
        size: style.Look(
            str(colours[i]), "Dv^P*hX"[i % 7], style.DASHES[(i + 1) % len(style.DASHES)]
        )
        for i, size in enumerate(sizes)
    }


def _curves(ax: Axes, tables: load.Tables, run: str, looks: dict[int, style.Look]) -> None:
    """p_correct of one direction by first layer, a line a size; unpatched runs across."""
    rows = tables["widths/layers"]
    for name in ("source", "base"):
        look = patching.looks(tables)[name]
        for level in marks.numbers(rows.filter(run=name), "p_correct")[:1]:
            ax.axhline(level, color=look.colour, linestyle=look.dash, linewidth=1.8)
    for size, look in looks.items():
        own = rows.filter(run=run, size=size)
        marks.line(ax, own, "first_layer", "p_correct", look)
        best = own.filter(pl.col("chosen"))
        ax.plot(best["first_layer"], best["p_correct"], "o", markersize=13, markerfacecolor="none",
                markeredgecolor="black", zorder=5)  # fmt: skip
    marks.rates(ax, patching.P_CORRECT)
    marks.unmeasured(ax, rows, "p_correct")
    ax.set_xlabel("first layer of the window")
    ax.set_title(f"{patching.titles(tables)[run]}, selection split")


def _topics(ax: Axes, tables: load.Tables, run: str, looks: dict[int, style.Look]) -> None:
    """The best windows of one direction and their controls, beside the unpatched runs."""
    names = pl.concat_str("run", "size", "window", separator=" ")
    rows = tables["widths/topics"].with_columns(series=names)
    where = places.topics(ax, rows)
    first, unpatched = next(iter(looks), 0), patching.looks(tables)
    series = {f"{name} {first} none": (unpatched[name], 8) for name in ("source", "base")}
    for size, look in looks.items():
        series |= {f"{run} {size} best": (look, 8), f"{run} {size} control": (style.RANDOM, 10)}
    for name, at, own in places.dodged(rows, "series", series, "topic", where):
        marks.points(ax, at, own, "accuracy", *series[name])
    marks.unmeasured(ax, rows, "accuracy")
    marks.rates(ax)
    best = rows.filter(run=run, window="best", topic="all").sort("size")
    named = [
        f"{first}–{last}" if last > first else f"{first}"
        for first, last in best.select("first_layer", "last_layer").iter_rows()
    ]
    said = f"layers {', '.join(named)}" if named else "no window was chosen"
    ax.set_title(f"{patching.titles(tables)[run]}, report split: {said}")


SIZED = ROLES | ints("size") | WINDOW | POINT
TABLES = {
    "widths/layers": SIZED | {"chosen": pl.Boolean},
    "widths/topics": SIZED | texts("topic", "window"),
}
FIGURES = (registry.Figure("widths.png", draw, TABLES),)
