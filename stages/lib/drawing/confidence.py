"""Draws accuracy and number of the answers that reach a confidence."""
# matplotlib leaves the type of its **kwargs open.
# pyright: reportUnknownMemberType=false

from collections.abc import Mapping

import polars as pl
from matplotlib.axes import Axes

from stages.lib.drawing import marks, style


def by_confidence(
    accuracy: Axes,
    remaining: Axes,
    rows: pl.DataFrame,
    by: str,
    looks: Mapping[str, style.Look],
    x: str,
) -> None:
    """Draw accuracy and number of the answers whose confidence reaches a threshold.

    Parameters
    ----------
    accuracy, remaining : Axes
        Axes to draw into.
    rows : DataFrame
        With columns `accuracy`, `low`, `high`, `n`, `by` and `x`.
    by : str
        Name of the column that tells the series apart.
    looks : mapping of str to Look
        Look of each series; series without a look are not drawn.
    x : str
        Name of the threshold's column.
    """
    marks.lines(accuracy, rows, by, looks, x, "accuracy")
    marks.lines(remaining, rows.select(by, x, "n"), by, looks, x, "n")
    marks.rates(accuracy)
    accuracy.set_title("Accuracy of confident answers")
    remaining.set_ylim(bottom=0)
    remaining.set_ylabel("answers")
    remaining.set_title("Number of confident answers")
    for ax in (accuracy, remaining):
        ax.set_xlim(0.485, 1.015)  # the larger of two probabilities
        ax.set_xlabel("confidence of at least (probability)")
