"""Which weights of an organism its lie needs, and which suffice."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import heat, load, marks, places, registry, style
from stages.lib.drawing.columns import ACCURACY, bounded, floats, ints, texts

RUNS = {
    "without": ("part undone: fraction of the lie undone", style.Look(style.SECOND[0], "o", "-")),
    "alone": ("part kept alone: fraction of the lie made", style.Look(style.SECOND[1], "v", "-")),
}
NOTHING = "nothing was measured: the model was not\ntaught to lie, or statements are too few"
NAMES = {"set": "set\nfound", "rest": "all\nothers"}


def draw(tables: load.Tables) -> Figure:
    """Draw the fraction of the lie by layer, map and set of heads, and by head."""
    rows = tables["grafts/units"]
    figure = style.canvas(
        "Effect of undoing, or keeping alone, each part of the lying adapter",
        f"The organism's weight change is cut into parts; the {tables.base} prompts of "
        f"{rows['n'].max() or 0} known statements of the report split are answered with a part "
        "undone (does the lie need it?) and with the part alone (is it enough?). Fraction undone: "
        "log-odds of the right answer gained, as a fraction of those gained when the whole change "
        "is undone; fraction made: 1 minus that. A head is its rows of the query map and its "
        "columns of the output map; the change of keys and values is in no set of heads. Set "
        "found: the smallest one that the search found on the selection split whose undoing ends "
        f"the lie. Bars: {style.INTERVALS}.",
        height=6.4,
        entries={name: look for name, look in RUNS.values()},
        lines=False,
        half="none of the lie (0), all of it (1)",
    )
    left, right = figure.subplots(1, 2, width_ratios=[2, 1])
    _parts(left, rows)
    _heads(figure, right, rows)
    left.set_title("A  layers, maps and sets of heads")
    right.set_title("B  each head undone")
    return figure


def _parts(ax: Axes, rows: pl.DataFrame) -> None:
    """Draw the fraction undone without each part, and the fraction made by the part alone."""
    parts = rows.filter(~pl.col("unit").is_in(["head", "group"]))
    if parts["recovered"].is_null().all():
        marks.nothing(ax, NOTHING)
        return
    order = pl.col("unit").replace_strict({"layer": 0, "map": 1, "set": 2, "rest": 3, "all": 4})
    recovered = [pl.col(name) for name in ("recovered", "recovered_low", "recovered_high")]
    is_alone = pl.col("run") == "alone"
    value, low, high = (
        pl.when(is_alone).then(1 - column).otherwise(column) for column in recovered
    )
    bars = parts.with_columns(
        share=value,
        low=pl.when(is_alone).then(high).otherwise(low),
        high=pl.when(is_alone).then(low).otherwise(high),
    )
    bars = bars.sort(order, "layer", "map")
    labels = load.names(bars, "part")
    x_of_part = {part: float(i) for i, part in enumerate(labels)}
    for run, at, run_rows in places.dodged(bars, "run", RUNS, "part", x_of_part):
        marks.points(ax, at, run_rows, "share", RUNS[run][1], size=9)
    places.names(
        ax, [NAMES.get(part, part.replace("_", "\n").replace(" ", "\n")) for part in labels]
    )
    marks.shares(ax, "fraction of the lie, in log-odds")


def _heads(figure: Figure, ax: Axes, rows: pl.DataFrame) -> None:
    """Draw the fraction undone without each head."""
    heads = rows.filter(unit="head", run="without").rename({"index": "head"})
    if heads["recovered"].is_null().all():
        marks.nothing(ax, "no heads were changed")
        return
    limits = heat.around_zero(heads["recovered"])
    heat.heads(ax, heads, "recovered", limits)
    heat.colour_bar(figure, [ax], limits, "fraction of the lie undone (log-odds)")


TABLES = {
    "grafts/units": texts("part", "unit")
    | ints("layer", "index")
    | texts("map", "run")
    | floats("size")
    | ACCURACY
    | bounded("log_odds")
    | bounded("recovered"),
}
FIGURES = (registry.Figure("grafts.png", draw, TABLES),)
