"""Figure of `trace`: effect of the patch by layer and place of the prompt, and of its paths."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import heat, load, marks, places, registry, style
from stages.lib.drawing.columns import ACCURACY, INTERVAL, ROLES, bounded, floats, ints, texts

THROUGH, AROUND = "through", "around"
PATHS = {
    THROUGH: ("C: through the reader alone", style.Look(style.SECOND[0], "o", "-")),
    AROUND: ("C: around the reader", style.Look(style.SECOND[1], "v", "-")),
}
LIMITS = (-1.0, 1.0)
NOTHING = "nothing was measured:\nsee metrics/trace.json"


def draw(tables: load.Tables) -> Figure:
    """Draw the maps of both directions, and the paths between the cells that matter."""
    source, base = tables.source, tables.base
    rows, paths = tables["trace/map"], tables["trace/paths"]
    figure = style.canvas(
        "Effect of one layer patched at one place of the prompt, and paths between such places",
        f"A, B: z of all heads of one layer patched at one place of the prompt, "
        f"{_n(rows, 'patched')} (A) and {_n(rows, 'reverse')} (B) known statements of the report "
        "split. Gap: difference of both runs in log-odds of the right answer; 1: the patched run "
        "answers as the other run does. Headers of the user's and the assistant's turn: the tokens "
        "of the chat template that open them. The last token is left out of its block; the "
        f"paper patches the last {_last(rows)} positions. C: the writer is a cell that "
        "matters (chosen on the selection split), the reader one of a later layer, or that layer "
        "at all places. Through: only the reader gets what the writer sends it; around: all but "
        f"the reader.{_grey(rows)} Bars: {style.INTERVALS}.",
        height=11.5,
        entries={name: look for name, look in PATHS.values()},
        lines=False,
        half="C: none of the gain (0), all of it (1)",
    )
    grid = figure.add_gridspec(2, 2, height_ratios=[1.5, 1])
    top = [figure.add_subplot(grid[0, i]) for i in range(2)]
    for ax, run, title in zip(
        top,
        ("patched", "reverse"),
        (f"A  z of {source} in the {base} run", f"B  z of {base} in the {source} run"),
        strict=True,
    ):
        _map(ax, rows.filter(run=run))
        ax.set_title(title)
    if rows["recovered"].is_not_null().any():
        heat.colour_bar(figure, top, LIMITS, "fraction of the gap recovered")
    _paths(figure.add_subplot(grid[1, :]), paths)
    return figure


def _grey(rows: pl.DataFrame) -> str:
    """Say what a grey cell is, if there is one."""
    return " Grey: no position there." if rows["recovered"].is_null().any() else ""


def _named(path: str) -> str:
    """Name a path's writer and reader, one below the other."""
    cells = (cell.split(" ", 1) for cell in path.split(" → "))
    return places.blocks("\n→ ".join(f"layer {layer},\n{block}" for layer, block in cells))


def _n(rows: pl.DataFrame, run: str) -> object:
    """Return the number of statements of a direction."""
    return rows.filter(run=run)["n"].max() or 0


def _last(rows: pl.DataFrame) -> str:
    """Return the number of last positions that the paper patches, from the name of the place."""
    names = [name for name in load.names(rows, "block") if name.startswith("last ")]
    return next((name.split()[1] for name in names if name.split()[1].isdigit()), "few")


def _map(ax: Axes, rows: pl.DataFrame) -> None:
    """Draw the fraction recovered by layer (upwards) and place of the prompt."""
    if rows["recovered"].is_null().all():
        marks.nothing(ax, NOTHING)
        return
    layers, blocks = rows["layer"].unique().sort().to_list(), load.names(rows, "block")
    heat.matrix(ax, rows, "recovered", ("layer", layers), ("block", blocks), LIMITS)
    ax.invert_yaxis()
    heat.thin(ax, "y", layers)
    ax.set_xticks(
        [i + 0.5 for i in range(len(blocks))], list(map(places.blocks, blocks)), rotation=35,
        ha="right",
        rotation_mode="anchor",
    )  # fmt: skip
    ax.set(xlabel="place of the prompt", ylabel="layer")


def _paths(ax: Axes, rows: pl.DataFrame) -> None:
    """Draw the fraction of each writer's gain that passes through each reader, and around it."""
    if rows["share"].is_null().all():
        marks.nothing(ax, "no cell that matters has one in a later layer")
        return
    labels = load.names(rows, "path")
    where = {name: float(i) for i, name in enumerate(labels)}
    for name, at, own in places.dodged(rows, "run", PATHS, "path", where):
        marks.points(ax, at, own, "share", PATHS[name][1], size=9)
    places.names(ax, [_named(label) for label in labels])
    marks.shares(ax, "fraction of the writer's gain")
    ax.set_title("C  from writer to reader, each a layer and a place")


TABLES = {
    "trace/map": ROLES
    | ints("layer")
    | texts("block")
    | ACCURACY
    | bounded("effect")
    | bounded("recovered"),
    "trace/paths": texts("path", "writer_block", "reader_block", "run")
    | ints("writer_layer", "reader_layer")
    | floats("share")
    | INTERVAL,
}
FIGURES = (registry.Figure("trace.png", draw, TABLES),)
