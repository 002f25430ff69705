"""Truth probes by layer and by head, under each persona."""

import dataclasses

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import heat, load, marks, places, registry, style
from stages.lib.drawing.columns import ACCURACY, CELL, PAIR, PROBES, floats, ints, texts

COLUMNS = 3  # panels side by side, at most


def draw(tables: load.Tables) -> Figure:
    """Draw probe accuracy on the residual stream and cosine of personas' directions, by layer."""
    personas = load.names(tables["probes/layers"], "fit")
    columns = min(COLUMNS, len(personas))
    rows = -(-len(personas) // columns)
    looks = style.looks(tables.personas)
    figure = style.canvas(
        "Truth probes by layer: fitted on one persona, scored on each",
        "Logistic regression on the residual stream at the last prompt token. Above: accuracy on "
        f"{tables['probes/layers']['n'].max() or 0} statements about subjects that it was not "
        "fitted on, by the persona that answers them (thick: the persona that it was fitted on). "
        "Below: cosine of two personas' directions (thin, no marks: z of the next layer, mean "
        f"over heads). Bands: {style.INTERVALS}.",
        height=3.7 * 2 * rows,
        entries=looks | {"permuted labels": style.RANDOM},
    )
    grid = figure.subplots(2 * rows, columns, squeeze=False)
    accuracy, cosine = grid[:rows].ravel(), grid[rows:].ravel()
    for i, persona in enumerate(personas):
        _transfer(accuracy[i], tables["probes/layers"], persona, looks)
        _cosines(cosine[i], tables["probes/cosine"], persona, looks)
    for ax in (*accuracy[len(personas) :], *cosine[len(personas) :]):
        ax.set_axis_off()
    return figure


def draw_heads(tables: load.Tables) -> Figure:
    """Draw probe accuracy on each head's z: source, base, and transfer from source to base."""
    source, base = tables.source, tables.base
    pairs = [(source, source), (base, base), (source, base)]
    n = tables["probes/heads"]["n"].max() or 0
    figure = style.canvas(
        "Truth probes on z of each head, scored on the run that they were fitted on and on another",
        "Logistic regression on one head's input to the output projection at the last prompt "
        f"token, scored on {n} statements about subjects that it was not fitted on. White is "
        "chance (0.5); blue is below it: the direction is there with the opposite sign.",
        height=7.2,
    )
    axes = list(figure.subplots(1, len(pairs)))
    for ax, (fit, scored) in zip(axes, pairs, strict=True):
        rows = tables["probes/heads"].filter(fit=fit, scored=scored)
        if rows.is_empty():
            marks.nothing(ax, f"no probe of {fit} on {scored}")
            continue
        heat.heads(ax, rows, "accuracy", (0.0, 1.0))
        title = f"fit and scored on {fit}" if fit == scored else f"fit on {fit}, scored on {scored}"
        ax.set_title(title)
    heat.colour_bar(figure, axes, (0.0, 1.0), style.ACCURACY)
    return figure


def _transfer(ax: Axes, layers: pl.DataFrame, fit: str, looks: dict[str, style.Look]) -> None:
    """Draw the accuracy of the probe fitted on one persona, scored on each persona."""
    rows = places.after_layer(layers.filter(site="resid_post", fit=fit))
    for scored, look in looks.items():
        scored_rows = rows.filter(scored=scored)
        marks.line(ax, scored_rows.filter(labels="true"), "layer", "accuracy", look,
                   width=3.2 if scored == fit else 2)  # fmt: skip
    control = rows.filter(labels="permuted", scored=fit)
    marks.line(ax, control, "layer", "accuracy", style.RANDOM)
    marks.rates(ax)
    ax.set_xlabel(places.AFTER)
    ax.set_title(f"fit on {fit}")


def _cosines(ax: Axes, cosine: pl.DataFrame, persona: str, looks: dict[str, style.Look]) -> None:
    """Draw the cosine between one persona's direction and that of each other persona."""
    cosine = places.after_layer(cosine)
    for other, look in looks.items():
        pair = cosine.filter(
            pl.concat_list("first", "second").list.sort() == sorted([persona, other])
        )
        marks.line(ax, pair.filter(site="resid_post"), "layer", "cosine", look)
        thin_look = dataclasses.replace(look, marker="")
        marks.line(ax, pair.filter(site="z"), "layer", "cosine", thin_look, width=1)
    ax.axhline(0, color="black", linewidth=1)
    ax.set_ylim(-1.06, 1.06)
    ax.set(xlabel=places.AFTER, ylabel="cosine")
    ax.set_title(f"cosine with {persona}")


COSINE = texts("site", "first", "second") | ints("layer") | floats("cosine")
FIGURES = (
    registry.Figure("probes.png", draw, PROBES | {"probes/cosine": COSINE}),
    registry.Figure("probe_heads.png", draw_heads, {"probes/heads": PAIR | CELL | ACCURACY}),
)
