"""Accuracy of confident answers, patched and unpatched."""

from matplotlib.figure import Figure

from stages.lib.drawing import confidence, load, patching, registry, style
from stages.lib.drawing.columns import ACCURACY, ROLES, floats


def draw(tables: load.Tables) -> Figure:
    """Accuracy and number of answers whose confidence reaches a threshold, by run."""
    rows = tables["confidence/thresholds"]
    runs = ("source", "patched", "base", "reverse")
    run_looks = patching.looks(tables)
    figure = style.canvas(
        "Accuracy of confident answers, with the head set patched and without",
        f"{rows['n'].max() or 0} known statements of the report split, the same in every run. "
        f"Patched {tables.base}: z of the head set from {tables.source} patched into {tables.base};"
        f" patched {tables.source}: the reverse. Confidence: the larger of P(true) and P(false). "
        f"Bands: {style.INTERVALS}; no line where no answer is left.",
        height=4.6,
        entries=patching.entries(tables, runs),
    )
    accuracy, remaining = figure.subplots(1, 2)
    looks = {run: run_looks[run] for run in runs}
    confidence.by_confidence(accuracy, remaining, rows, "run", looks, "confidence")
    return figure


TABLES = {"confidence/thresholds": ROLES | floats("confidence") | ACCURACY}
FIGURES = (registry.Figure("confidence.png", draw, TABLES),)
