"""Figure of `windows`: effect of a patched window of layers, by its first layer."""

from matplotlib.figure import Figure

from stages.lib.drawing import load, marks, patching, registry, style
from stages.lib.drawing.columns import HEADS, WINDOWS

SELECTION = style.Look("#66B89B", "d", (0, (4, 3)))


def draw(tables: load.Tables) -> Figure:
    """Draw accuracy and P(correct) by first layer of the patched window, and the unpatched runs."""
    n = tables["windows/windows"].filter(split="report")["n"].max() or 0
    figure = style.canvas(
        f"Accuracy and P(correct) with windows of {tables.window} layers patched: {tables.source} "
        f"into {tables.base}",
        f"z of all heads in {tables.window} consecutive layers, at the last positions of the "
        f"prompt; {n} known statements of the report split. Bands: {style.INTERVALS}. The "
        "window is chosen by P(correct) on the selection split, which has other subjects. "
        "P(correct): probability of the right answer, normalised over both answers.",
        height=5.2,
        entries=patching.entries(tables, ("patched", "source", "base"))
        | {f"{patching.titles(tables)['patched']}, selection split": SELECTION},
    )
    left, right = figure.subplots(1, 2)
    patching.windows(left, tables, "accuracy", "report")
    patching.windows(right, tables, "p_correct", "report")
    selection = tables["windows/windows"].filter(split="selection", run="patched")
    for ax, y in ((left, "accuracy"), (right, "p_correct")):
        marks.line(ax, selection.select("first_layer", y), "first_layer", y, SELECTION, width=1.5)
    return figure


FIGURES = (registry.Figure("windows.png", draw, WINDOWS | HEADS),)
