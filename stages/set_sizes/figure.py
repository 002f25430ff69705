"""Figure of `set_sizes`: accuracy by number of heads patched or left out, for each order."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib import names
from stages.lib.drawing import load, marks, registry, style
from stages.lib.drawing.columns import INTERVAL, POINT, floats, ints, texts

RANDOM = "random"  # name of this rule in the tables
MEASURE = "auc_log"
DIRECTIONS = {"up": "only the first heads patched", "down": "all heads but the first patched"}
OTHER = style.Look("#C8C8C8", "", "-")


def draw(tables: load.Tables) -> Figure:
    """Draw accuracy and recovered P(correct) by number of heads, up and down, and the areas."""
    rows = tables["set_sizes/set_sizes"]
    looks = _looks(load.names(rows, "rule"))
    n_orders = rows.filter(rule=RANDOM)["draw"].n_unique()
    legend = {names.rule(rule): look for rule, look in looks.items() if look is not OTHER}
    figure = style.canvas(
        f"Accuracy by number of heads patched, in the orders of several rules: {tables.source} "
        f"into {tables.base}",
        "Each rule orders all heads on the selection split; shown are "
        f"{rows['n'].max() or 0} known statements of the report split. Recovered: 0 with no head "
        "patched, 1 with all. Right: area under the middle curve over the logarithm of the number "
        "of heads. Where accuracy stays at 0.5, the answer may be right on one label only. "
        "Good orders rise early (above: large area) and fall early (below: small area). "
        "In brackets: heads in the smallest set of the order with the accuracy of "
        f"{tables.source}, chosen on the selection split. Retested: a tenth of the heads, "
        "those with the highest estimates or by size, whatever the sign, is patched head by head "
        f"and ordered by that effect. Random: {n_orders} orders. "
        f"Bars: {style.INTERVALS}.",
        height=9.0,
        entries=legend | {"other rules": OTHER} if OTHER in looks.values() else legend,
    )
    grid = figure.subplots(2, 3, width_ratios=[1.1, 1.1, 0.8])
    for axes, (direction, title) in zip(grid, DIRECTIONS.items(), strict=True):
        own = rows.filter(direction=direction)
        for ax, y in zip(axes, ("accuracy", "recovered"), strict=False):
            _curves(ax, own, y, looks)
            marks.unmeasured(ax, own, y)
        marks.rates(axes[0])
        axes[0].set_title(title)
        axes[1].set(ylim=(-0.08, 1.08), ylabel="fraction of the gap recovered")
        _areas(axes[2], tables, direction, looks)
    return figure


def _looks(rules: list[str]) -> dict[str, style.Look]:
    """Return the look of each rule: own colours for the main rules and for random, `OTHER` else."""
    ordered = sorted(
        rules, key=lambda rule: [*names.RULES].index(rule) if rule in names.RULES else 99
    )
    return {rule: (style.RULES | {RANDOM: style.RANDOM}).get(rule, OTHER) for rule in ordered}


def _curves(ax: Axes, rows: pl.DataFrame, y: str, looks: dict[str, style.Look]) -> None:
    """Draw every order by number of heads, main rules on top; bands are left out: they overlap."""
    for rule in sorted(looks, key=lambda rule: looks[rule] is not OTHER):
        for _, own in rows.filter(rule=rule).group_by("draw", maintain_order=True):
            marks.line(ax, own.select("size", y), "size", y, looks[rule], width=2.2)
    sizes = rows["size"].unique().sort().to_list()
    ax.set_xscale("symlog", base=2, linthresh=1)
    ax.set_xticks(sizes, [str(size) for size in sizes], rotation=45)
    ax.set_xticks([], minor=True)
    ax.set_xlabel("number of heads")


def _areas(ax: Axes, tables: load.Tables, direction: str, looks: dict[str, style.Look]) -> None:
    """Draw the area of each rule with its interval, the first rule on top."""
    rows = tables["set_sizes/auc"].filter(direction=direction, measure=MEASURE)
    rows = rows.filter(pl.col("against").is_null())
    sizes = dict(tables["set_sizes/smallest"].select("rule", "size").iter_rows())
    for place, (rule, look) in enumerate(looks.items()):
        own = rows.filter(rule=rule)
        colour = style.CLOUD if look is OTHER else look.colour
        ax.hlines([place] * len(own), marks.numbers(own, "low"), marks.numbers(own, "high"),
                  color=colour, linewidth=2)  # fmt: skip
        ax.plot(marks.numbers(own, "value"), np.full(len(own), place), linestyle="none",
                color=colour, marker=look.marker or "o", markersize=8,
                markeredgecolor="white")  # fmt: skip
    labels = [names.rule(rule) + (f" ({sizes[rule]})" if rule in sizes else "") for rule in looks]
    ax.set_yticks(range(len(looks)), labels)
    ax.set_ylim(len(looks) - 0.5, -0.5)
    ax.set_xlim(-0.03, 1.03)
    ax.grid(False, axis="y")
    ax.set_title("area")
    ax.set_xlabel("area (0 to 1)")
    marks.unmeasured(ax, rows, "value")


SET = texts("rule") | ints("size") | POINT | floats("share")
AREA = texts("rule", "direction", "measure", "against") | floats("value") | INTERVAL
TABLES = {
    "set_sizes/set_sizes": SET | texts("direction") | ints("draw") | floats("recovered"),
    "set_sizes/auc": AREA,
    "set_sizes/smallest": SET,
}
FIGURES = (registry.Figure("set_sizes.png", draw, TABLES),)
