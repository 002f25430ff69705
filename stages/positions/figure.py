"""At which positions of the prompt z must be patched."""

from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import load, marks, patching, places, registry, style
from stages.lib.drawing.columns import POINT, ROLES, floats, ints, texts

SET = style.Look("#66B89B", "d", (0, (4, 3)))
BLOCKS = {
    "alone": ("B: the block alone", style.PATCHED),
    "elsewhere": ("B: as many random positions", style.Look(style.CLOUD, "s", "-")),
    "left_out": ("B: all other blocks", style.Look(style.SECOND[0], "^", "-")),
}


def draw(tables: load.Tables) -> Figure:
    """Draw P(correct) by number of last positions, and accuracy by block."""
    counts, blocks = tables["positions/counts"], tables["positions/blocks"]
    runs = patching.entries(tables, ("source", "base"))
    figure = style.canvas(
        f"Effect of patching at some positions of the prompt: {tables.source} into {tables.base}",
        f"A: the last k positions of the prompt, {counts['n'].max() or 0} known statements of "
        "the report split; P(correct): probability of the right answer, normalised over both "
        "answers. B: the "
        f"best window, {blocks['n'].max() or 0} of these statements, patched at the positions of "
        "one block of the prompt; at all other blocks; and at as many random positions outside "
        "the block. The more positions are drawn, the more often parts of blocks that are enough "
        "alone are among them: such a draw can do better than the block. Blocks are aligned at "
        "their ends, over the length of the shorter of the two. Headers: tokens of the chat "
        f"template that open a turn. Bands and bars: {style.INTERVALS}.",
        height=9.2,
        entries=runs
        | {"A: best window": style.PATCHED, "A: head set": SET}
        | dict(BLOCKS.values()),
    )
    above, below = figure.subplots(2, 1)
    _counts(above, tables)
    _blocks(below, tables)
    return figure


def _counts(ax: Axes, tables: load.Tables) -> None:
    """Draw the best window, the head set and both baselines by number of positions."""
    rows, look_of_run = tables["positions/counts"], patching.looks(tables)
    for run, patched, look in (
        ("patched", "window", style.PATCHED),
        ("patched", "set", SET),
        ("source", "nothing", replace(look_of_run["source"], marker="")),
        ("base", "nothing", replace(look_of_run["base"], marker="")),
    ):
        run_rows = rows.filter(run=run, patched=patched)
        width = 3.4 if look.marker else 1.6
        marks.line(ax, run_rows, "positions", "p_correct", look, width)
    marks.rates(ax, patching.P_CORRECT)
    marks.unmeasured(ax, rows, "p_correct")
    ax.set_xlabel("k, positions patched at the end of the prompt")
    ax.set_title("A  the last k positions")


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
        name: "" if n.get(name) is None else f"\n({round(n[name], 1):g} positions)"
        for name in names
    }
    labels = [places.blocks(name).replace(" ", "\n", 1) for name in names]
    places.names(
        ax, [f"{label}{note_of_block[name]}" for label, name in zip(labels, names, strict=True)]
    )
    marks.rates(ax)
    marks.unmeasured(ax, rows, "accuracy")
    ax.set_title("B  one block of the prompt at a time")


TABLES = {
    "positions/counts": ROLES | texts("patched") | ints("positions") | POINT,
    "positions/blocks": ROLES | texts("block") | floats("positions") | POINT,
}
FIGURES = (registry.Figure("positions.png", draw, TABLES),)
