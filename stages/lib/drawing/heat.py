"""Draws heatmaps, and the colour bar that heatmaps with the same limits share."""
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
from matplotlib.colors import FuncNorm, Normalize
from matplotlib.figure import FigureBase

from stages.lib.drawing import style

Limits = tuple[float, float]
Side = tuple[str, Sequence[Any]]


def matrix(
    ax: Axes,
    rows: pl.DataFrame,
    value: str,
    down: Side,
    across: Side,
    limits: Limits,
    root: bool = False,
) -> np.ndarray:
    """Draw a heatmap of a value by two columns, first row on top; empty cells are grey.

    Parameters
    ----------
    ax : Axes
        Axes to draw into; the caller sets the ticks.
    rows : DataFrame
        With the columns of both sides and that of `value`, one row per cell.
    value : str
        Name of the column with the value.
    down, across : tuple of str and sequence
        Name of a column, and its values in the order in which they are drawn.
    limits : tuple of float
        Values at the two ends of the colour scale; the middle is white.
    root : bool
        Whether colours go by the square root of a value, so that small values show beside a large
        one; the limits are then around 0.

    Returns
    -------
    array of float, shape (len(down[1]), len(across[1]))
        The values, NaN in empty cells.
    """
    cells = np.full((len(down[1]), len(across[1])), np.nan)
    for y, x, number in rows.select(down[0], across[0], value).iter_rows():
        cells[down[1].index(y), across[1].index(x)] = np.nan if number is None else number
    low, high = limits
    ax.set_facecolor("#D0D0D0")
    sns.heatmap(cells, ax=ax, vmin=low, vmax=high, norm=_norm(limits, root), cmap=style.DIVERGING,
                cbar=False)  # fmt: skip
    ax.grid(False)
    return cells


def heads(ax: Axes, rows: pl.DataFrame, value: str, limits: Limits, root: bool = False) -> None:
    """Draw a heatmap of a value by layer (upwards) and head, as `matrix` does."""
    layers, numbers = (rows[name].unique().sort().to_list() for name in ("layer", "head"))
    matrix(ax, rows, value, ("layer", layers), ("head", numbers), limits, root)
    ax.invert_yaxis()
    thin(ax, "x", numbers)
    thin(ax, "y", layers)
    ax.set_xlabel("head")
    ax.set_ylabel("layer")


def around_zero(values: pl.Series) -> Limits:
    """Return symmetric limits that hold all values; -1 to 1 if all are 0 or null."""
    peak = float(np.abs(values.drop_nulls().to_numpy()).max(initial=0.0)) or 1.0
    return -peak, peak


def colour_bar(
    figure: FigureBase,
    axes: list[Axes],
    limits: Limits,
    label: str,
    root: bool = False,
    least: float | None = None,
) -> None:
    """Draw one colour bar for heatmaps with the same limits and scale, from `least` upwards."""
    mappable = ScalarMappable(_norm(limits, root), mpl.colormaps[style.DIVERGING])
    bar = figure.colorbar(mappable, ax=axes, label=label, fraction=0.05, pad=0.02)
    if least is not None:
        bar.ax.set_ylim(bottom=least)


def thin(ax: Axes, axis: Literal["x", "y"], labels: list[int]) -> None:
    """Label cells of a heatmap at their middle, at most 16 of them along an axis.

    Parameters
    ----------
    ax : Axes
        Axes of a heatmap.
    axis : str
        Axis to label.
    labels : list of int
        Labels of all cells along the axis.
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


def _norm(limits: Limits, root: bool) -> Normalize:
    """Return the scale from values to colours."""
    return FuncNorm((_root, _square), *limits) if root else Normalize(*limits)


def _root(values: np.ndarray) -> np.ndarray:
    """Return square roots of the sizes, with the signs of the values."""
    return np.sign(values) * np.sqrt(np.abs(values))


def _square(values: np.ndarray) -> np.ndarray:
    """Return squares of the sizes, with the signs of the values."""
    return np.sign(values) * np.square(values)
