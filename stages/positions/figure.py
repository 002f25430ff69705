"""At which positions of the prompt z must be patched."""

from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import load, marks, patching, places, registry, style
from stages.lib.drawing.columns import POINT, ROLES, floats, ints, texts

SET = style.Look("#66B89B", "d", (0, (4, 3)))
BLOCKS = {
    "alone": ("the block alone", style.PATCHED),
    "elsewhere": ("random positions", style.RANDOM),
    "left_out": ("all other blocks", style.Look(style.SECOND[0], "^", "-")),
}


def draw(tables: load.Tables) -> Figure:
    """Draw accuracy and p_correct by number of last positions, and accuracy by block."""
    counts, blocks = tables["positions/counts"], tables["positions/blocks"]
    look_of_run = patching.looks(tables)
    figure = style.canvas(
        f"Positions of the prompt: where z of {tables.source} is patched into {tables.base}",
        f"Above: the last k positions of the prompt, {counts['n'].max() or 0} known statements of "
        "the report split; p_correct: P(right answer), normalised over both answers. Below: the "
        f"best window, {blocks['n'].max() or 0} of these statements, patched at the positions of "
        "one block of the prompt; at all other blocks; and at equally many random positions "
        "elsewhere. Blocks are aligned at their ends, over the length of the shorter of the two. "
        "Headers of the user's and the assistant's turn: tokens of the chat template that open "
        "them. Bands and bars: "
        f"{style.INTERVALS}.",
        height=9.2,
        entries={
            tables.source: look_of_run["source"],
            tables.base: look_of_run["base"],
            "best window": style.PATCHED,
            "head set": SET,
        }
        | {name: look for run, (name, look) in BLOCKS.items() if run != "alone"},
        half="0.5",
    )
    grid = figure.add_gridspec(2, 2)
    for i, y in enumerate(("accuracy", "p_correct")):
        _counts(figure.add_subplot(grid[0, i]), tables, y)
    _blocks(figure.add_subplot(grid[1, :]), tables)
    return figure


def _counts(ax: Axes, tables: load.Tables, y: str) -> None:
    """Draw the best window, the head set and both baselines by number of positions."""
    rows, look_of_run = tables["positions/counts"], patching.looks(tables)
    for run, written, look in (
        ("patched", "window", style.PATCHED),
        ("patched", "set", SET),
        ("source", "nothing", replace(look_of_run["source"], marker="")),
        ("base", "nothing", replace(look_of_run["base"], marker="")),
    ):
        run_rows = rows.filter(run=run, written=written)
        marks.line(ax, run_rows, "positions", y, look, 3.4 if look.marker else 1.6)
    marks.rates(ax, patching.P_CORRECT if y == "p_correct" else style.ACCURACY)
    marks.unmeasured(ax, rows, y)
    ax.set_xlabel("k, positions patched at the end of the prompt")
    ax.set_title(f"the last k positions: {y}")


def _blocks(ax: Axes, tables: load.Tables) -> None:
    """Draw each block alone and left out, and random positions; unpatched runs are lines."""
    rows, look_of_run = tables["positions/blocks"], patching.looks(tables)
    names = load.names(rows, "block")
    for run in ("source", "base"):
        level = marks.numbers(rows.filter(run=run), "accuracy")[0]
        ax.axhline(
            level, color=look_of_run[run].colour, linestyle=look_of_run[run].dash, linewidth=1.8
        )
    x_of_block = {name: float(i) for i, name in enumerate(names)}
    for run, x, run_rows in places.dodged(rows, "run", BLOCKS, "block", x_of_block):
        marks.points(ax, x, run_rows, "accuracy", BLOCKS[run][1], size=9)
    n = dict(rows.filter(run="alone").select("block", "positions").iter_rows())
    note_of_block = {
        name: "" if n.get(name) is None else f"\n({n[name]:.1f} positions)" for name in names
    }
    labels = [places.blocks(name).replace(" ", "\n", 1) for name in names]
    places.names(
        ax, [f"{label}{note_of_block[name]}" for label, name in zip(labels, names, strict=True)]
    )
    marks.rates(ax)
    marks.unmeasured(ax, rows, "accuracy")
    ax.set_title("one block of the prompt at a time")


TABLES = {
    "positions/counts": ROLES | texts("written") | ints("positions") | POINT,
    "positions/blocks": ROLES | texts("block") | floats("positions") | POINT,
}
FIGURES = (registry.Figure("positions.png", draw, TABLES),)
