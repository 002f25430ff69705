"""Effect of each head of the chosen window, and the head set as it grows."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import heat, load, marks, patching, registry, style
from stages.lib.drawing.columns import HEADS, SETS


def draw(tables: load.Tables) -> Figure:
    """Draw the effect of each head of the window, alone and left out, and the greedy set."""
    n = tables["heads/heads"]["n"].max() or 0
    figure = style.canvas(
        "Effect of the chosen window's heads, alone and in a growing set: "
        f"{tables.source} into {tables.base}",
        f"{n} known statements of the selection split. Alone: P(correct) gained with this head "
        "alone patched. Left out: P(correct) lost with all other heads of the window patched. "
        f"Ringed: in the greedy set. Bands: {style.INTERVALS}.",
        height=7.4,
        entries=patching.entries(tables, ("patched",)),
    )
    grid = figure.subplots(2, 2, width_ratios=[1.1, 1])
    limits = heat.around_zero(tables["heads/heads"]["effect"])
    maps = list(grid[:, 0])
    for ax, measure, title in (
        (maps[0], "alone", "patched alone: P(correct) gained"),
        (maps[1], "left_out", "left out: P(correct) lost"),
    ):
        _effects(ax, tables, measure, limits)
        ax.set_title(title)
    heat.colour_bar(figure, maps, limits, "P(correct)")
    _greedy(grid[0, 1], grid[1, 1], tables)
    return figure


def _effects(ax: Axes, tables: load.Tables, measure: str, limits: tuple[float, float]) -> None:
    """Draw the effect of each head, with rings around the heads of the greedy set."""
    rows = tables["heads/heads"].filter(measure=measure)
    if rows.is_empty():
        marks.nothing(ax, "no window was chosen")
        return
    heat.heads(ax, rows, "effect", limits)
    layers, heads = (rows[name].unique().sort().to_list() for name in ("layer", "head"))
    set_heads = tables["heads/sets"].drop_nulls("head").select("layer", "head").rows()
    for layer, head in set_heads:
        place = heads.index(head) + 0.5, layers.index(layer) + 0.5
        ax.plot(*place, "o", markersize=11, markerfacecolor="none", markeredgecolor="black")


def _greedy(recovered: Axes, accuracy: Axes, tables: load.Tables) -> None:
    """Draw the recovered fraction of the window's effect, and accuracy, by number of heads."""
    if tables["heads/sets"].is_empty():
        marks.nothing(recovered, "no head set was grown")
        marks.nothing(accuracy, "")
        return
    rows = tables["heads/sets"].sort("size")
    marks.line(recovered, rows.select("size", "recovered"), "size", "recovered", style.PATCHED)
    marks.line(accuracy, rows, "size", "accuracy", style.PATCHED)
    recovered.axhline(1, color="black", linewidth=1)
    recovered.set_title("greedy set: fraction of the window's effect")
    recovered.set_ylabel("fraction recovered")
    accuracy.set_title(f"accuracy of {tables.base} with the set patched")
    marks.rates(accuracy)
    step = -(-len(rows) // 15)
    labels = [
        f"{size}" if head is None else f"{size}: L{layer} H{head}"
        for size, layer, head in rows.select("size", "layer", "head").iter_rows()
    ]
    recovered.sharex(accuracy)
    recovered.tick_params(labelbottom=False)
    accuracy.set_xticks(rows["size"].to_list()[::step], labels[::step], rotation=30, ha="right",
                        rotation_mode="anchor")  # fmt: skip
    accuracy.set_xlabel("heads in the set: the head added last")


FIGURES = (registry.Figure("heads.png", draw, HEADS | SETS),)
