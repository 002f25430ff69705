"""Truth probes of several kinds, and their transfer."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import heat, load, marks, places, registry, style
from stages.lib.drawing.columns import ACCURACY, PAIR, floats, ints, texts

WORDS, PERMUTED = "words of the statement alone", "permuted labels"
BAG = "bag_of_tokens"
TICKS = 16  # at most, on an axis of a matrix
FITS = ("plain → plain", "plain → negated", "negated → negated", "negated → plain", "both → plain",
        "both → negated")  # fmt: skip


def draw(tables: load.Tables) -> Figure:
    """Accuracy and cosines by layer, accuracy from topic to topic, and across polarity."""
    source, base = tables.source, tables.base
    methods = style.looks(load.names(tables["transfer/layers"], "method"), style.SECOND)
    personas = {name: style.looks(tables.personas)[name] for name in (source, base)}
    named = {_named(method): look for method, look in methods.items()}
    figure = style.canvas(
        "Truth probes of several kinds: by layer, on other topics, and on negated statements",
        _caption(tables),
        height=14.5,
        entries=personas | {PERMUTED: style.RANDOM, WORDS: style.ELSEWHERE} | named,
    )
    grid = figure.subplots(3, 2)
    _layers(grid[0, 0], tables, personas)
    _cosine(grid[0, 1], tables, methods)
    for column, persona in enumerate(personas):
        _topics(grid[1, column], tables, persona)
        _polarity(grid[2, column], tables, persona, methods)
    if not tables["transfer/topics"].is_empty():
        heat.colour_bar(figure, list(grid[1]), (0.0, 1.0), style.ACCURACY)
    for ax, letter in zip(grid.ravel(), "ABCDEF", strict=True):
        ax.set_title(f"{letter}  {ax.get_title(loc='left')}")
    return figure


def _named(method: str) -> str:
    """Name a method as the report does."""
    return method.replace("_", " ")


def _caption(tables: load.Tables) -> str:
    """Write how to read the panels, with n."""
    n = tables["transfer/layers"]["n"].max() or 0
    return (
        "Probes on the residual stream at the last prompt token, fitted on the selection split of "
        f"one persona. A: accuracy on {n} statements of the report split, by the same persona; "
        "lines: mean of the methods, bands: from the lowest method to the highest. Permuted "
        "labels: mass mean, labels permuted within topics (mean and range of the draws). Words: "
        "logistic regression on the words of the statement, whatever the layer. B: cosine of both "
        "personas' directions, in layers where probes of both personas read the truth (elsewhere a "
        "direction, and its sign, mean nothing). C to F: after each method's best layer by "
        "cross-validation on the selection split. C, D: fitted on one topic and scored on each, "
        "with a few statements per cell; compare cells of a panel, as the panels can be of "
        "different layers. E, F: fitted on plain or negated statements, or both, and "
        f"scored on either. Bars, and bands of B: {style.INTERVALS}."
    )


def _layers(ax: Axes, tables: load.Tables, personas: dict[str, style.Look]) -> None:
    """Draw the mean accuracy of the methods by layer, its range, and both controls."""
    words = tables["transfer/topics"].filter(method=BAG, fit="all", scored="all")
    for low, value, high in words.select("low", "accuracy", "high").drop_nulls().iter_rows():
        ax.axhspan(low, high, color=style.SAND, alpha=0.15, linewidth=0)
        ax.axhline(value, color=style.SAND, linestyle=style.ELSEWHERE.dash)
    rows = places.after_layer(tables["transfer/layers"])
    permuted = rows.filter(labels="permuted", persona=tables.source)
    marks.line(ax, permuted, "layer", "accuracy", style.RANDOM)
    accuracy = pl.col("accuracy")
    means = rows.filter(labels="true").group_by("persona", "layer", maintain_order=True)
    means = means.agg(accuracy.mean(), low=accuracy.min(), high=accuracy.max())
    marks.lines(ax, means, "persona", personas, "layer", "accuracy")
    marks.rates(ax)
    ax.set_xlabel(places.AFTER)
    ax.set_title("accuracy by layer, all methods")


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
    ax.set_title(f"cosine of {tables.source} and {tables.base}, by layer")


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
    _ticks(ax, order)
    ax.set(xlabel="scored on", ylabel="fit on")
    ax.set_title(f"{persona}, by topic: {_named(method)}, layer {alone['layer'][0] - 1}")


def _polarity(ax: Axes, tables: load.Tables, persona: str, looks: dict[str, style.Look]) -> None:
    """Draw the accuracy across polarity, by method."""
    rows = tables["transfer/polarity"].filter(persona=persona)
    rows = rows.with_columns(fits=pl.concat_str("fit", "scored", separator=" → "))
    where = {name: float(i) for i, name in enumerate(FITS)}
    for method, at, own in places.dodged(rows, "method", looks, "fits", where):
        marks.points(ax, at, own, "accuracy", looks[method], size=8)
    marks.rates(ax)
    places.names(ax, FITS, rotation=30)
    ax.set_title(f"{persona}, plain and negated statements")
    ax.set_xlabel("fit on → scored on")


def _ticks(ax: Axes, order: list[str]) -> None:
    """Label two sides of a square heatmap with some of the names."""
    step = -(-len(order) // TICKS)
    at = [i + 0.5 for i in range(0, len(order), step)]
    ax.set_xticks(at, order[::step], rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticks(at, order[::step], rotation=0)


PROBE = texts("method", "persona") | ints("layer") | ACCURACY
COSINE = texts("method", "first", "second") | ints("layer") | floats("cosine", "low", "high")
COSINE |= {"reads": pl.Boolean}
TABLES = {
    "transfer/layers": PROBE | texts("labels"),
    "transfer/topics": PROBE | PAIR,
    "transfer/polarity": PROBE | PAIR,
    "transfer/cosine": COSINE,
}
FIGURES = (registry.Figure("transfer.png", draw, TABLES),)
