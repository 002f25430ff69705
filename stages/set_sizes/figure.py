"""How many heads it takes, by the order in which they are written or left out."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import load, marks, registry, style
from stages.lib.drawing.columns import INTERVAL, POINT, floats, ints, texts

RANDOM = "random"  # as the tables name it
MEASURE = "auc_log"
DIRECTIONS = {"up": "the first heads patched", "down": "all but the first heads patched"}


def draw(tables: load.Tables) -> Figure:
    """Accuracy and recovered p_correct by number of heads, up and down, and areas under them."""
    rows = tables["set_sizes/set_sizes"]
    rules = [rule for rule in load.names(rows, "rule") if rule != RANDOM]
    looks = style.looks(rules) | {RANDOM: style.RANDOM}
    n_orders = rows.filter(rule=RANDOM)["draw"].n_unique()
    figure = style.canvas(
        f"Heads in several orders: z of {tables.source} patched into the run of {tables.base}",
        "Orders, greedy ones among them, are made on the selection split; shown are "
        f"{rows['n'].max() or 0} known statements of the report split. Above, the first heads of "
        "an order are patched; below, all heads of the model but these. Share of p_correct: 0 "
        "with no head, 1 with all. Right: area under this share over the logarithm of the number "
        "of heads: above, 1 where the first head alone does it all; below, 0 where it alone is "
        f"missed. Bars: {style.INTERVALS}. In brackets: heads in the order's smallest set with the "
        f"accuracy of {tables.source}, chosen on the selection split. Random: {n_orders} orders.",
        height=9.0,
        entries={_title(rule): look for rule, look in looks.items()},
        half="0.5",
    )
    grid = figure.subplots(2, 3, width_ratios=[1.1, 1.1, 0.8])
    for axes, (direction, title) in zip(grid, DIRECTIONS.items(), strict=True):
        own = rows.filter(direction=direction)
        for ax, y in zip(axes, ("accuracy", "recovered"), strict=False):
            _curves(ax, own, y, looks)
            marks.rates(ax, style.ACCURACY if y == "accuracy" else "p_correct recovered (share)")
            marks.unmeasured(ax, own, y)
        axes[0].set_title(title)
        axes[1].set_ylim(-0.08, 1.08)
        _areas(axes[2], tables, direction, looks)
    return figure


def _title(rule: str) -> str:
    """What a legend calls a rule."""
    return rule.replace("_", " ")


def _curves(ax: Axes, rows: pl.DataFrame, y: str, looks: dict[str, style.Look]) -> None:
    """Every order over the number of heads; no bands, as they would cover one another."""
    for rule in reversed(looks):
        for _, own in rows.filter(rule=rule).group_by("draw", maintain_order=True):
            marks.line(ax, own.select("size", y), "size", y, looks[rule], width=1.8)
    sizes = rows["size"].unique().sort().to_list()
    ax.set_xscale("symlog", base=2, linthresh=1)
    ax.set_xticks(sizes, [str(size) for size in sizes], rotation=45)
    ax.set_xticks([], minor=True)
    ax.set_xlabel("number of heads")


def _areas(ax: Axes, tables: load.Tables, direction: str, looks: dict[str, style.Look]) -> None:
    """Area of each rule with its interval, the first rule on top."""
    rows = tables["set_sizes/auc"].filter(direction=direction, measure=MEASURE)
    rows = rows.filter(pl.col("against").is_null())
    sizes = dict(tables["set_sizes/smallest"].select("rule", "size").iter_rows())
    for place, rule in enumerate(looks):
        own = rows.filter(rule=rule)
        ax.hlines([place] * len(own), marks.numbers(own, "low"), marks.numbers(own, "high"),
                  color=looks[rule].colour, linewidth=2)  # fmt: skip
        ax.plot(marks.numbers(own, "value"), np.full(len(own), place), linestyle="none",
                color=looks[rule].colour, marker=looks[rule].marker, markersize=8,
                markeredgecolor="white")  # fmt: skip
    labels = [_title(rule) + (f" ({sizes[rule]})" if rule in sizes else "") for rule in looks]
    ax.set_yticks(range(len(looks)), labels)
    ax.set_ylim(len(looks) - 0.5, -0.5)
    ax.set_xlim(-0.03, 1.03)
    ax.grid(False, axis="y")
    ax.set_title("area under the curve")
    ax.set_xlabel("area (share, 0 to 1)")
    marks.unmeasured(ax, rows, "value")


SET = texts("rule") | ints("size") | POINT | floats("share")
AREA = texts("rule", "direction", "measure", "against") | floats("value") | INTERVAL
TABLES = {
    "set_sizes/set_sizes": SET | texts("direction") | ints("draw") | floats("recovered"),
    "set_sizes/auc": AREA,
    "set_sizes/smallest": SET,
}
FIGURES = (registry.Figure("set_sizes.png", draw, TABLES),)
