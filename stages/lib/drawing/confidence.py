"""Accuracy of the answers that reach a confidence, and how many they are."""

import polars as pl
from matplotlib.axes import Axes

from stages.lib.drawing import marks, style


def by_confidence(
    accuracy: Axes, remaining: Axes, series: list[tuple[pl.DataFrame, style.Look]], x: str
) -> None:
    """Accuracy and number of the answers whose confidence reaches a threshold.

    Parameters
    ----------
    accuracy, remaining : Axes
        Drawn into.
    series : list of DataFrame and Look
        Rows with columns `accuracy`, `low`, `high`, `n` and that of the threshold.
    x : str
        Name of the threshold's column.
    """
    for rows, look in series:
        marks.line(accuracy, rows, x, "accuracy", look)
        marks.line(remaining, rows.select(x, "n"), x, "n", look)
    marks.rates(accuracy)
    accuracy.set_title("Accuracy by confidence")
    remaining.set_ylim(bottom=0)
    remaining.set_ylabel("statements left")
    remaining.set_title("Number left by confidence")
    for ax in (accuracy, remaining):
        ax.set_xlim(-0.03, 1.03)
        ax.set_xlabel("least confidence (probability)")
