"""Figure of `ground_truth`: windows, heads and probes, and the layers trained to lie."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from stages.lib.drawing import heat, load, marks, patching, places, registry, style
from stages.lib.drawing.columns import (
    ESTIMATES,
    HEADS,
    INTERVAL,
    PROBES,
    WINDOWS,
    floats,
    ints,
)

TRAINED = "#F3E3B3"  # light: it stands behind every line
INSIDE = "#8A8A8A"
EFFECTS = "attribution_patching/attribution_patching"  # of single heads, in log-odds
ACROSS = style.Look(style.SECOND[0], "P", style.DASHES[3])  # a probe of one run on the other


def draw(tables: load.Tables) -> Figure:
    """Draw windows, effects of all heads, and probes by layer."""
    source, base = tables.source, tables.base
    entries = patching.entries(tables, ("patched", "source", "base"))
    entries |= {f"C: probe of {source} on {base}": ACROSS}
    figure = style.canvas(
        "Effects of windows and heads, and truth probes, beside the layers trained to lie",
        f"{_trained_caption(tables)} A: accuracy of the {base} run, z of {source} patched in "
        f"{tables.window} layers, report split{_inside(tables)}. B: z of one head patched; "
        "log-odds of the "
        f"right answer gained, {tables[EFFECTS]['n'].max() or 0} known statements of the selection "
        "split; colours go by the square root, so that small gains show beside a large one. C: "
        "accuracy of truth probes on the residual stream after each layer. Bands: "
        f"{style.INTERVALS}.",
        height=6.2,
        entries=entries,
    )
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.15, 0.85, 1.15])
    _mark_inside(left, tables)
    patching.windows(left, tables, "accuracy", "report")
    _heads(figure, middle, tables)
    _mark_trained(right, tables)
    _probes(right, tables)
    left.set_title("A  windows of layers patched")
    middle.set_title("B  each head alone patched")
    right.set_title("C  accuracy of truth probes")
    return figure


def _trained(tables: load.Tables) -> list[int]:
    """Return the layers that were trained to lie."""
    return tables["ground_truth/layers"].filter(pl.col("trained"))["layer"].sort().to_list()


def _trained_caption(tables: load.Tables) -> str:
    """Say which layers were trained to lie."""
    layers = _trained(tables)
    if not layers:
        return "This model was not trained to lie."
    return f"Layers {layers[0]} to {layers[-1]} were trained to lie: shaded in C, framed in B."


def _starts(tables: load.Tables) -> tuple[int, int] | None:
    """Return the first and the last window, by first layer, with no layer but trained ones."""
    layers = _trained(tables)
    if not layers or len(layers) < tables.window:
        return None
    return layers[0], layers[-1] - tables.window + 1


def _inside(tables: load.Tables) -> str:
    """Say which windows are hatched, where the x axis is the first layer of a window."""
    starts = _starts(tables)
    return "; hatched: windows of these layers alone" if starts else ""


def _mark_inside(ax: Axes, tables: load.Tables) -> None:
    """Hatch the windows of trained layers alone."""
    if starts := _starts(tables):
        ax.axvspan(starts[0] - 0.5, starts[1] + 0.5, ymax=0.86, facecolor="none",
                   edgecolor=INSIDE, hatch="////", linewidth=0)  # fmt: skip


def _mark_trained(ax: Axes, tables: load.Tables) -> None:
    """Shade the trained layers."""
    if layers := _trained(tables):
        ax.axvspan(layers[0] - 0.5, layers[-1] + 0.5, color=TRAINED)


def _heads(figure: Figure, ax: Axes, tables: load.Tables) -> None:
    """Draw the effects of all heads, with a frame around the trained layers."""
    rows = tables[EFFECTS]
    if rows.is_empty() or rows["effect"].is_null().all():
        marks.nothing(ax, "no known statement:\nnothing was measured")
        return
    limits = heat.around_zero(rows["effect"])
    heat.heads(ax, rows, "effect", limits, root=True)
    heat.colour_bar(figure, [ax], limits, "B: log-odds gained (nats)", root=True)
    if layers := _trained(tables):
        n_heads = rows["head"].n_unique()
        place = (0, layers[0])
        ax.add_patch(
            Rectangle(place, n_heads, len(layers), fill=False, linewidth=2, ec="black", zorder=5)
        )


def _probes(ax: Axes, tables: load.Tables) -> None:
    """Draw each run's probe on its own run, and the source's probe on the base run."""
    looks = style.looks(tables.personas)
    source, base = tables.source, tables.base
    rows = places.after_layer(tables["probes/layers"].filter(site="resid_post", labels="true"))
    for fit, scored, look in (
        (source, source, looks[source]),
        (base, base, looks[base]),
        (source, base, ACROSS),
    ):
        own = rows.filter(fit=fit, scored=scored)
        marks.line(ax, own, "layer", "accuracy", look)
    marks.rates(ax)
    ax.set_ylabel("")
    ax.set_xlabel(places.AFTER)


TABLES = (
    WINDOWS
    | HEADS
    | PROBES
    | ESTIMATES
    | {
        "ground_truth/layers": ints("layer")
        | {"trained": pl.Boolean}
        | floats("effect")
        | INTERVAL,
    }
)
FIGURES = (registry.Figure("ground_truth.png", draw, TABLES),)
