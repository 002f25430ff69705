"""Truth probes of several kinds, and their transfer."""

from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import heat, load, marks, places, registry, style
from stages.lib.drawing.columns import ACCURACY, PAIR, floats, ints, texts

WORDS, PERMUTED = "words of the statement alone", "permuted labels"
BAG = "bag_of_tokens"
TICKS = 16  # at most, on an axis of a matrix with upright names; half as many numbers
FITS = ("plain → plain", "plain → negated", "negated → negated", "negated → plain", "both → plain",
        "both → negated")  # fmt: skip


def draw(tables: load.Tables) -> Figure:
    """Accuracy and cosines by layer and method, topic by topic, and across polarity."""
    source, base = tables.source, tables.base
    looks = style.looks(load.names(tables["transfer/layers"], "method"), style.SECOND)
    figure = style.canvas(
        "Truth probes by method, and their transfer to other topics and polarities",
        _caption(tables),
        height=13.5,
        entries=looks | {PERMUTED: style.RANDOM, WORDS: style.ELSEWHERE},
    )
    grid = figure.subplots(3, 3)
    for column, persona in enumerate((source, base)):
        _layers(grid[0, column], tables, persona, looks)
        _topics(grid[1, column], tables, persona)
        _between_layers(grid[2, column], tables, persona)
        _polarity(grid[1 + column, 2], tables, persona, looks)
    _cosine(grid[0, 2], tables, looks)
    matrices = [*grid[1, :2], *grid[2, :2]]
    heat.colour_bar(figure, matrices[:2], (0.0, 1.0), style.ACCURACY)
    heat.colour_bar(figure, matrices[2:], (-1.0, 1.0), "cosine")
    return figure


def _caption(tables: load.Tables) -> str:
    """Write how to read the panels, with n."""
    n = tables["transfer/layers"]["n"].max() or 0
    return (
        "Probes on the residual stream at the last prompt token, fitted on the selection split. "
        f"Above: accuracy on {n} statements of the report split; grey: mass-mean probes, labels "
        "permuted within topics (mean and range of the draws); brown: logistic regression on the "
        "words of the statement alone. Cosine: between the two personas' directions, in layers "
        "where "
        "probes of both personas read the truth (elsewhere a direction, and its sign, mean "
        "nothing). Middle and below: at each method's best layer by cross-validation on the "
        "selection split, fitted on one topic (row) and scored on each, with a few statements per "
        "cell; polarity: fitted on plain or negated statements, or both, and scored on either. "
        f"Cosine of layers: mass-mean directions. Bars and bands: {style.INTERVALS}."
    )


def _layers(ax: Axes, tables: load.Tables, persona: str, looks: dict[str, style.Look]) -> None:
    """Draw the accuracy of each method's probes by layer, with both controls."""
    rows = tables["transfer/layers"].filter(persona=persona)
    words = tables["transfer/topics"].filter(method=BAG, fit="all", scored="all")
    for low, value, high in words.select("low", "accuracy", "high").drop_nulls().iter_rows():
        ax.axhspan(low, high, color=style.SAND, alpha=0.15, linewidth=0)
        ax.axhline(value, color=style.SAND, linestyle=style.ELSEWHERE.dash)
    rows = places.after_layer(rows)
    permuted = rows.filter(labels="permuted")
    marks.line(ax, permuted, "layer", "accuracy", style.RANDOM)
    own = rows.filter(labels="true")
    marks.lines(ax, own, "method", looks, "layer", "accuracy")
    marks.rates(ax)
    ax.set_xlabel(places.AFTER)
    ax.set_title(f"fit and scored on {persona}")


def _cosine(ax: Axes, tables: load.Tables, looks: dict[str, style.Look]) -> None:
    """Draw the cosine between the source's and the base's direction, by method."""
    both = sorted([tables.source, tables.base])
    rows = tables["transfer/cosine"].filter(pl.concat_list("first", "second").list.sort() == both)
    readable_columns = [
        pl.when("reads").then(name).alias(name) for name in ("cosine", "low", "high")
    ]
    rows = places.after_layer(rows).with_columns(readable_columns)
    marks.lines(ax, rows, "method", looks, "layer", "cosine")
    ax.axhline(0, color="black", linewidth=1)
    ax.set_ylim(-1.06, 1.06)
    ax.set(xlabel=places.AFTER, ylabel="cosine")
    last = tables["transfer/layers"]["layer"].to_numpy().max(initial=0)
    ax.set_xlim(-2, max(last, 1))  # all layers, as in the panels beside it
    ax.set_title(f"{tables.source} and {tables.base}: cosine")


def _topics(ax: Axes, tables: load.Tables, persona: str) -> None:
    """Draw the accuracy of single-topic probes on each topic."""
    rows = tables["transfer/topics"].filter(persona=persona)
    alone = rows.filter(pl.col("fit").is_in(rows["scored"].unique().implode()))
    if alone.is_empty():
        marks.nothing(ax, f"no probe of {persona} by topic")
        return
    method = load.names(alone, "method")[0]
    alone = alone.filter(method=method)
    order = load.names(alone, "scored")
    heat.matrix(ax, alone, "accuracy", ("fit", order), ("scored", order), (0.0, 1.0))
    _ticks(ax, order, angle=90)
    ax.set(xlabel="scored on", ylabel="fit on")
    ax.set_title(f"{persona}: {method}, after layer {alone['layer'][0] - 1}")


def _between_layers(ax: Axes, tables: load.Tables, persona: str) -> None:
    """Draw the cosine of the directions at every two layers."""
    rows = tables["transfer/cosine_layers"].filter(persona=persona)
    if rows.is_empty():
        marks.nothing(ax, f"no two layers of {persona}")
        return
    order = sorted({*rows["first"], *rows["second"]})
    swapped = rows.rename({"first": "second", "second": "first"}).select(rows.columns)
    both = pl.concat([rows, swapped])
    heat.matrix(ax, both, "cosine", ("second", order), ("first", order), (-1.0, 1.0))
    _ticks(ax, order, angle=0)
    ax.invert_yaxis()
    ax.set(xlabel="after layer", ylabel="after layer")
    ax.set_title(f"{persona}: cosine of layers")


def _polarity(ax: Axes, tables: load.Tables, persona: str, looks: dict[str, style.Look]) -> None:
    """Draw the accuracy across polarity, by method."""
    rows = tables["transfer/polarity"].filter(persona=persona)
    rows = rows.with_columns(fits=pl.concat_str("fit", "scored", separator=" → "))
    where = {name: float(i) for i, name in enumerate(FITS)}
    for method, at, own in places.dodged(rows, "method", looks, "fits", where):
        marks.points(ax, at, own, "accuracy", looks[method], size=8)
    marks.rates(ax)
    places.names(ax, FITS, rotation=30)
    ax.set_title(f"{persona}: polarity")
    ax.set_xlabel("fit on → scored on")


def _ticks(ax: Axes, order: list[Any], angle: int) -> None:
    """Label two sides of a square heatmap with some of the names."""
    step = -(-len(order) // (TICKS if angle else TICKS // 2))
    names = [str(name - 1 if isinstance(name, int) else name) for name in order[::step]]
    at = [i + 0.5 for i in range(0, len(order), step)]
    ax.set_xticks(at, names, rotation=angle, fontsize=10)
    ax.set_yticks(at, names, rotation=0, fontsize=10)


PROBE = texts("method", "persona") | ints("layer") | ACCURACY
COSINE = texts("method", "first", "second") | ints("layer") | floats("cosine", "low", "high")
COSINE |= {"reads": pl.Boolean}
TABLES = {
    "transfer/layers": PROBE | texts("labels"),
    "transfer/topics": PROBE | PAIR,
    "transfer/polarity": PROBE | PAIR,
    "transfer/cosine": COSINE,
    "transfer/cosine_layers": texts("persona") | ints("first", "second") | floats("cosine"),
}
FIGURES = (registry.Figure("transfer.png", draw, TABLES),)
