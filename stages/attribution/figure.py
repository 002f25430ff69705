"""What each part of the model writes into the answer itself, and where two runs' answers part."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import columns, heat, load, marks, registry, style

KINDS = {"attention": "A  attention of each layer", "mlp": "B  MLP of each layer"}
NATS = "toward the right answer (nats)"
NOTHING = "nothing was measured:\nsee metrics/attribution.json"
SAID = 0.5  # truth mass from which the lens reads off what the model is about to say


def draw(tables: load.Tables) -> Figure:
    """Direct attribution by layer and head, and the logit lens, in both runs."""
    source, base = tables.source, tables.base
    looks = style.looks(tables.personas)
    runs = {"source": looks[source], "base": looks[base]}
    figure = style.canvas(
        f"What each part writes into the answer itself: {source} and {base}",
        _caption(tables),
        height=9.0,
        entries={source: looks[source], base: looks[base]},
        half="0.5",
    )
    grid = figure.subplots(2, 2)
    for ax, (kind, title) in zip(grid[0], KINDS.items(), strict=True):
        _layers(ax, tables["attribution/layers"].filter(pl.col("site") == kind), runs)
        ax.set_title(title)
    grid[0, 1].sharey(grid[0, 0])
    grid[0, 1].set_ylabel("")
    _heads(figure, grid[1, 0], tables)
    grid[1, 0].set_title(f"C  heads: {source} minus {base}")
    _lens(grid[1, 1], tables["attribution/lens"], runs)
    grid[1, 1].set_title("D  logit lens")
    return figure


def _caption(tables: load.Tables) -> str:
    """How to read the panels, with n."""
    rows = tables["attribution/lens"]
    said = rows.filter(pl.col("run") == "source", pl.col("truth_mass") >= SAID)["layer"]
    before = (
        f" Before layer {said.min()} the {tables.source} run's lens gives both answers together "
        f"less than {SAID}: there it reads a leaning, not what would be said."
        if len(said)
        else ""
    )
    return (
        "A to C: mean part of logit(right answer) - logit(wrong answer) at the last prompt token, "
        "final norm held at its real scale; all parts, with embedding and biases, add up to the "
        "real difference. A head that acts through a later layer has no part. D: probability of "
        "the right answer out of both, read by final norm and unembedding off what enters each "
        f"layer, the last point being the model's answer.{before} "
        f"{rows['n'].max() or 0} known statements of the report part. Bands: {style.INTERVALS}."
    )


def _layers(ax: Axes, rows: pl.DataFrame, runs: dict[str, style.Look]) -> None:
    """One kind of sublayer, by layer, in both runs."""
    ax.axhline(0, color="black", linewidth=1)
    marks.lines(ax, rows, "run", runs, "layer", "contribution")
    ax.set(xlabel="layer", ylabel=NATS)
    _empty(ax, rows)


def _heads(figure: Figure, ax: Axes, tables: load.Tables) -> None:
    """The runs' difference, by head."""
    rows = tables["attribution/heads"].filter(pl.col("run") == "difference")
    if rows.is_empty():
        marks.nothing(ax, NOTHING)
        return
    limits = heat.around_zero(rows["contribution"])
    heat.heads(ax, rows, "contribution", limits)
    heat.colour_bar(figure, [ax], limits, NATS)


def _lens(ax: Axes, rows: pl.DataFrame, runs: dict[str, style.Look]) -> None:
    """Truth read off the residual stream, in both runs."""
    marks.lines(ax, rows, "run", runs, "layer", "truth")
    marks.rates(ax, "truth (mean probability)")
    ax.set_xlabel("layer that is entered")
    _empty(ax, rows)


def _empty(ax: Axes, rows: pl.DataFrame) -> None:
    """Say so where there is nothing to show."""
    if rows.is_empty():
        ax.text(0.5, 0.7, NOTHING, color=style.GREY, ha="center", va="center",
                transform=ax.transAxes)  # fmt: skip


_READ = columns.texts("run", "persona") | columns.ints("layer")
_PART = columns.floats("contribution") | columns.INTERVAL
FIGURES = (
    registry.Figure(
        "attribution.png",
        draw,
        {
            "attribution/layers": columns.texts("site") | _READ | _PART,
            "attribution/heads": columns.texts("measure", "run")
            | columns.CELL
            | _PART
            | columns.floats("share"),
            "attribution/lens": columns.texts("site")
            | _READ
            | columns.floats("truth")
            | columns.INTERVAL
            | columns.bounded("log_odds")
            | columns.bounded("accuracy")
            | columns.floats("truth_mass"),
        },
    ),
)
