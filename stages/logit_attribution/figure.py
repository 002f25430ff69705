"""Direct logit attribution, and the logit lens, of two runs."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import heat, load, marks, patching, places, registry, style
from stages.lib.drawing.columns import CELL, INTERVAL, bounded, floats, ints, texts

KINDS = {"attention": "A  attention of each layer", "mlp": "B  MLP of each layer"}
NATS = "toward the right answer (nats)"
NOTHING = "nothing was measured:\nsee metrics/logit_attribution.json"
SAID = 0.5  # answer mass from which the lens is read as an answer


def draw(tables: load.Tables) -> Figure:
    """Draw direct attribution by layer and head, and the logit lens, in both runs."""
    source, base = tables.source, tables.base
    runs = {run: patching.looks(tables)[run] for run in ("source", "base")}
    figure = style.canvas(
        f"Direct logit attribution and logit lens: {source} and {base}",
        _caption(tables),
        height=9.0,
        entries=patching.entries(tables, runs),
    )
    grid = figure.subplots(2, 2)
    for ax, (kind, title) in zip(grid[0], KINDS.items(), strict=True):
        _layers(ax, tables["logit_attribution/layers"].filter(site=kind), runs)
        ax.set_title(title)
    grid[0, 1].sharey(grid[0, 0])
    grid[0, 1].set_ylabel("")
    _heads(figure, grid[1, 0], tables)
    grid[1, 0].set_title(f"C  heads: {source} minus {base}")
    _lens(grid[1, 1], tables["logit_attribution/lens"], runs)
    grid[1, 1].set_title("D  logit lens")
    return figure


def _caption(tables: load.Tables) -> str:
    """How to read the panels, with n."""
    rows = tables["logit_attribution/lens"]
    said = rows.filter(pl.col("answer_mass") >= SAID, run="source")["layer"]
    before = (
        f" Before the end of layer {int(said.to_numpy().min()) - 1} both answers together have "
        f"less than {SAID} in the {tables.source} run: there the lens reads a leaning, not an "
        "answer."
        if len(said)
        else ""
    )
    return (
        "A to C: mean part of logit(right answer) - logit(wrong answer) at the last prompt token, "
        "final norm held at its real scale; all parts, with embedding and biases, add up to the "
        "real difference. A head that acts through a later layer has no part. D: P(right "
        "answer), normalised over both answers, from the residual stream by final norm and "
        f"unembedding; the last point is the model's answer.{before} "
        f"{rows['n'].max() or 0} known statements of the report split. Bands: {style.INTERVALS}."
    )


def _layers(ax: Axes, rows: pl.DataFrame, runs: dict[str, style.Look]) -> None:
    """One kind of sublayer, by layer, in both runs."""
    ax.axhline(0, color="black", linewidth=1)
    marks.lines(ax, rows, "run", runs, "layer", "contribution")
    ax.set(xlabel="layer", ylabel=NATS)
    if rows.is_empty():
        marks.say(ax, NOTHING)


def _heads(figure: Figure, ax: Axes, tables: load.Tables) -> None:
    """The runs' difference, by head."""
    rows = tables["logit_attribution/heads"].filter(run="difference")
    if rows.is_empty():
        marks.nothing(ax, NOTHING)
        return
    limits = heat.around_zero(rows["contribution"])
    heat.heads(ax, rows, "contribution", limits)
    heat.colour_bar(figure, [ax], limits, NATS)


def _lens(ax: Axes, rows: pl.DataFrame, runs: dict[str, style.Look]) -> None:
    """P(correct) read off the residual stream, in both runs."""
    marks.lines(ax, places.after_layer(rows), "run", runs, "layer", "p_correct")
    marks.rates(ax, patching.P_CORRECT)
    ax.set_xlabel(places.AFTER)
    if rows.is_empty():
        marks.say(ax, NOTHING)


READ = texts("run", "persona") | ints("layer")
PART = floats("contribution") | INTERVAL
LENS = texts("site") | READ | floats("p_correct", "answer_mass") | INTERVAL
TABLES = {
    "logit_attribution/layers": texts("site") | READ | PART,
    "logit_attribution/heads": texts("measure", "run") | CELL | PART | floats("share"),
    "logit_attribution/lens": LENS | bounded("log_odds") | bounded("accuracy"),
}
FIGURES = (registry.Figure("logit_attribution.png", draw, TABLES),)
