"""Figure of `widths`: windows of several sizes, in both directions."""

import polars as pl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import load, marks, patching, places, registry, style
from stages.lib.drawing.columns import POINT, ROLES, WINDOW, ints, texts

LIGHT, DARK = "#8FD6C2", "#00402F"  # colours of the smallest and of the largest windows
CONTROL = "control windows"
WINDOWS = ("best", "control")  # names in the tables


def draw(tables: load.Tables) -> Figure:
    """Draw P(correct) by first layer for each size, and the best windows by size."""
    layers, topics = tables["widths/layers"], tables["widths/topics"]
    sizes: list[int] = layers["size"].unique(maintain_order=True).to_list()
    runs = patching.looks(tables)
    looks = _looks(sizes)
    called = {_layers(size): look for size, look in looks.items()}
    figure = style.canvas(
        "P(correct) and accuracy with windows of several sizes patched, in both directions",
        f"Above: z of all heads of a window patched, {layers['n'].max() or 0} known statements of "
        "the selection split; P(correct): probability of the right answer, normalised over both "
        "answers. Ringed: "
        "the best window of each size, with the highest P(correct) in the patched "
        f"{tables.base} run and the lowest in the patched {tables.source} run. Below: the best "
        f"windows on {topics['n'].max() or 0} known statements of the report split, each beside a "
        "control: the median window of its size among those that share no layer with it. "
        f"Small dots: topics. Bands and bars: {style.INTERVALS}.",
        height=9.0,
        entries={tables.source: runs["source"], tables.base: runs["base"], **called}
        | {CONTROL: CLOUD},
    )
    grid = figure.subplots(2, 2)
    for i, run in enumerate(("patched", "reverse")):
        _curves(grid[0, i], tables, run, looks)
        _best(grid[1, i], tables, run, looks)
    return figure


def _layers(size: int) -> str:
    """Return the legend label of windows of one size."""
    return f"{size} layer{'s' * (size > 1)}"


def _looks(sizes: list[int]) -> dict[int, style.Look]:
    """Return one look per size, darker for larger windows."""
    colours = sns.blend_palette([LIGHT, DARK], max(2, len(sizes))).as_hex()
    return {
        size: style.Look(
            str(colours[i]), "Dv^P*hX"[i % 7], style.DASHES[(i + 1) % len(style.DASHES)]
        )
        for i, size in enumerate(sizes)
    }


def _curves(ax: Axes, tables: load.Tables, run: str, looks: dict[int, style.Look]) -> None:
    """Draw P(correct) of one direction by first layer, a line per size, and the unpatched runs."""
    rows = tables["widths/layers"]
    _unpatched(ax, rows, tables, "p_correct")
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


def _unpatched(ax: Axes, rows: pl.DataFrame, tables: load.Tables, y: str) -> None:
    """Draw both unpatched runs as horizontal lines."""
    for name in ("source", "base"):
        look = patching.looks(tables)[name]
        for level in marks.numbers(rows.filter(run=name), y)[:1]:
            ax.axhline(level, color=look.colour, linestyle=look.dash, linewidth=1.8)


def _best(ax: Axes, tables: load.Tables, run: str, looks: dict[int, style.Look]) -> None:
    """Draw the best windows of one direction and their controls by size, and the unpatched runs."""
    rows = tables["widths/topics"]
    all_topics = rows.filter(topic="all")
    _unpatched(ax, all_topics, tables, "accuracy")
    where = {size: float(place) for place, size in enumerate(looks)}
    own = rows.filter(run=run)
    for window, x, window_rows in places.dodged(own, "window", WINDOWS, "size", where, gap=0.3):
        for size, look in looks.items():
            seen = look if window == "best" else CLOUD
            at, sized = x[(window_rows["size"] == size).to_numpy()], window_rows.filter(size=size)
            topics, total = sized.filter(pl.col("topic") != "all"), sized.filter(topic="all")
            marks.strip(ax, at[: len(topics)] + 0.06, topics, "accuracy", seen.colour)
            marks.points(ax, at[: len(total)], total, "accuracy", seen, size=10)
    best = all_topics.filter(run=run, window="best")
    labels = [f"{_layers(size)}{_place(best.filter(size=size))}" for size in looks]
    marks.unmeasured(ax, rows, "accuracy")
    marks.rates(ax)
    places.names(ax, labels)
    ax.set_xlabel("best window of each size")
    ax.set_title(f"{patching.titles(tables)[run]}, report split")


def _place(rows: pl.DataFrame) -> str:
    """Return the layers of a window, as a second line of its label; empty without a window."""
    for first, last in rows.select("first_layer", "last_layer").iter_rows():
        return f"\n({first}–{last})" if last > first else f"\n({first})"
    return ""


CLOUD = style.Look(style.CLOUD, "s", style.DASHES[0])
SIZED = ROLES | ints("size") | WINDOW | POINT
TABLES = {
    "widths/layers": SIZED | {"chosen": pl.Boolean},
    "widths/topics": SIZED | texts("topic", "window"),
}
FIGURES = (registry.Figure("widths.png", draw, TABLES),)
