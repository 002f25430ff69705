"""Heatmaps, and the colour bar that those with the same limits share."""
# matplotlib leaves the type of its **kwargs open.
# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import polars as pl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import FigureBase

from stages.lib.drawing import style

Limits = tuple[float, float]
Side = tuple[str, Sequence[Any]]


def matrix(
    ax: Axes, rows: pl.DataFrame, value: str, down: Side, across: Side, limits: Limits
) -> np.ndarray:
    """Draw a value by two columns, the first row on top; cells without a value stay grey.

    Parameters
    ----------
    ax : Axes
        Drawn into; its ticks are left to the caller.
    rows : DataFrame
        With the columns of both sides and that of `value`, one row per cell.
    value : str
        Name of the column.
    down, across : tuple of str and sequence
        A column and its values, in their order.
    limits : tuple of float
        Values at the two ends of the colours; the middle is white.

    Returns
    -------
    array of float, shape (len(down[1]), len(across[1]))
        The values, NaN where there is none.
    """
    cells = np.full((len(down[1]), len(across[1])), np.nan)
    for y, x, number in rows.select(down[0], across[0], value).iter_rows():
        cells[down[1].index(y), across[1].index(x)] = np.nan if number is None else number
    low, high = limits
    ax.set_facecolor("#D0D0D0")
    sns.heatmap(cells, ax=ax, vmin=low, vmax=high, cmap=style.DIVERGING, cbar=False)
    ax.grid(False)
    return cells


def heads(ax: Axes, rows: pl.DataFrame, value: str, limits: Limits) -> None:
    """Draw a value by layer (upwards) and head, as `matrix` does."""
    layers, numbers = (rows[name].unique().sort().to_list() for name in ("layer", "head"))
    matrix(ax, rows, value, ("layer", layers), ("head", numbers), limits)
    ax.invert_yaxis()
    thin(ax, "x", numbers)
    thin(ax, "y", layers)
    ax.set_xlabel("head")
    ax.set_ylabel("layer")


def around_zero(values: pl.Series) -> Limits:
    """Limits that make 0 white and hold all values; -1 to 1 where there is none but 0."""
    peak = float(np.abs(values.drop_nulls().to_numpy()).max(initial=0.0)) or 1.0
    return -peak, peak


def colour_bar(figure: FigureBase, axes: list[Axes], limits: Limits, label: str) -> None:
    """One colour bar for heatmaps that were drawn with the same limits."""
    mappable = ScalarMappable(Normalize(*limits), mpl.colormaps[style.DIVERGING])
    figure.colorbar(mappable, ax=axes, label=label, fraction=0.05, pad=0.02)


def thin(ax: Axes, axis: Literal["x", "y"], labels: list[int]) -> None:
    """Label cells in their middle, at most about a dozen of them.

    Parameters
    ----------
    ax : Axes
        Of a heat map.
    axis : str
        Which of its axes.
    labels : list of int
        Of all cells along the axis.
    """
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100) if len(labels) / s <= 16)
    places = [i for i, label in enumerate(labels) if label % step == 0]
    ax.set(
        **{
            f"{axis}ticks": [i + 0.5 for i in places],
            f"{axis}ticklabels": [str(labels[i]) for i in places],
        }
    )
    ax.tick_params(axis=axis, rotation=0)
