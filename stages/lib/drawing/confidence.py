"""Draws accuracy and number of the answers that reach a confidence."""
# matplotlib leaves the type of its **kwargs open.
# pyright: reportUnknownMemberType=false

from collections.abc import Mapping

import polars as pl
from matplotlib.axes import Axes

from stages.lib.drawing import marks, style

CHANCE = 0.5


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
        ax.set_xlim(_lowest(rows.filter(pl.col(by).is_in([*looks])), by, x) - 0.015, 1.015)
        ax.set_xlabel("confidence of at least (probability)")


def _lowest(rows: pl.DataFrame, by: str, x: str) -> float:
    """Return the threshold to begin at: 0.5, or 0 if answers are less confident than that.

    The larger of two probabilities is below 0.5 where other words than the answers are likely.
    """
    below = rows.filter(pl.col(x) <= CHANCE).group_by(by).agg(pl.col("n").n_unique() > 1)
    return 0.0 if below["n"].any() else CHANCE
