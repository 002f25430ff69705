"""Draws lines with bands, points with bars, and the axes of rates."""
# matplotlib leaves the type of its **kwargs open.
# pyright: reportUnknownMemberType=false

from collections.abc import Mapping

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from stages.lib.drawing import style


def line(
    ax: Axes,
    rows: pl.DataFrame,
    x: str,
    y: str,
    look: style.Look,
    width: float = 2.2,
) -> None:
    """Draw y over x as a line, with a band for its interval if the table has one.

    The interval is in the columns `<y>_low` and `<y>_high`, or else `low` and `high`.

    Parameters
    ----------
    ax : Axes
        Axes to draw into.
    rows : DataFrame
        One row per point, in any order; a null leaves a gap.
    x, y : str
        Names of the columns.
    look : Look
        Colour, marker and dashes.
    width : float
        Line width in points.
    """
    rows = rows.sort(x)
    x_values = numbers(rows, x)
    prefix = f"{y}_" if f"{y}_low" in rows.columns else ""
    if f"{prefix}low" in rows.columns:
        low, high = numbers(rows, f"{prefix}low"), numbers(rows, f"{prefix}high")
        ax.fill_between(x_values, low, high, color=look.colour, alpha=0.15, linewidth=0)
    step = max(1, len(x_values) // 8)
    ax.plot(
        x_values,
        numbers(rows, y),
        color=look.colour,
        linestyle=look.dash,
        linewidth=width,
        marker=look.marker,
        markeredgecolor="white",
        markevery=(
            max(0, style.MARKERS.find(look.marker)) % step,
            step,
        ),  # markers of coinciding lines do not overlap
    )


def lines(
    ax: Axes, rows: pl.DataFrame, by: str, looks: Mapping[str, style.Look], x: str, y: str
) -> None:
    """Draw one `line` per value of column `by` that has a look, in the order of the looks."""
    for name, look in looks.items():
        line(ax, rows.filter(pl.col(by) == name), x, y, look)


def points(
    ax: Axes, x_values: np.ndarray, rows: pl.DataFrame, y: str, look: style.Look, size: float
) -> None:
    """Draw y at given x values, with a bar from `low` to `high` through each point.

    Parameters
    ----------
    ax : Axes
        Axes to draw into.
    x_values : array of float, shape (n_rows,)
        Position of each row on the x axis.
    rows : DataFrame of n_rows rows
        With columns `low`, `high` and `y`; a null draws nothing.
    y : str
        Name of the column with the value.
    look : Look
        Colour and marker.
    size : float
        Marker size in points.
    """
    ax.vlines(x_values, numbers(rows, "low"), numbers(rows, "high"), color=look.colour, linewidth=2)
    ax.plot(
        x_values,
        numbers(rows, y),
        linestyle="none",
        color=look.colour,
        marker=look.marker,
        markersize=size,
        markeredgecolor="white",
    )


def across(
    ax: Axes, y_values: np.ndarray, rows: pl.DataFrame, x: str, look: style.Look, size: float
) -> None:
    """Draw x at given y values, with a bar from `low` to `high`: `points` with the axes swapped."""
    ax.hlines(y_values, numbers(rows, "low"), numbers(rows, "high"), color=look.colour, linewidth=2)
    ax.plot(
        numbers(rows, x),
        y_values,
        linestyle="none",
        color=look.colour,
        marker=look.marker,
        markersize=size,
        markeredgecolor="white",
    )


def strip(
    ax: Axes,
    x: float | np.ndarray,
    rows: pl.DataFrame,
    y: str,
    colour: str,
    spread: float | None = None,
) -> None:
    """Draw y as small dots beside each other; a null draws nothing.

    Parameters
    ----------
    ax : Axes
        Axes to draw into.
    x : float, or array of shape (n_rows,)
        Place of the dots.
    rows : DataFrame of n_rows rows
        One row per dot.
    y : str
        Name of the column with the value.
    colour : str
        Colour of the dots.
    spread : float, optional
        The dots stand, pale, from `spread` to the left of `x` to as far to the right; without it
        from `x` to the right.
    """
    dots = numbers(rows, y)
    if spread is None:
        ax.plot(x + 0.02 * (np.arange(len(dots)) % 8), dots, ".", color=colour, markersize=7)
    else:
        at = x + np.linspace(-spread, spread, len(dots))
        ax.plot(at, dots, ".", color=colour, markersize=7, alpha=0.45, markeredgewidth=0)


def rates(ax: Axes, label: str = style.ACCURACY) -> None:
    """Set a y axis from 0 to 1 with a line at 0.5, chance of a two-way answer."""
    ax.set_ylim(-0.03, 1.03)
    ax.set_ylabel(label)
    ax.axhline(0.5, color="black", linewidth=1.2, linestyle=style.HALF, zorder=1)


def rates_across(ax: Axes, label: str = style.ACCURACY) -> None:
    """Set an x axis as `rates` sets a y axis."""
    ax.set_xlim(-0.03, 1.03)
    ax.set_xlabel(label)
    ax.axvline(0.5, color="black", linewidth=1.2, linestyle=style.HALF, zorder=1)


def shares(ax: Axes, label: str) -> None:
    """Label the y axis of fractions, with lines at 0 and 1."""
    for level in (0, 1):
        ax.axhline(level, color="black", linewidth=1.2, linestyle=style.HALF, zorder=1)
    ax.set_ylabel(label)


def recalls(ax: Axes) -> None:
    """Set axes of recall on true (x) and on false statements (y), both as `rates` sets them."""
    rates(ax, "recall on false statements (fraction)")
    ax.axvline(0.5, color="black", linewidth=1.2, linestyle=style.HALF, zorder=1)
    ax.set_xlim(-0.03, 1.03)
    ax.set_xlabel("recall on true statements (fraction)")


def nothing(ax: Axes, why: str) -> None:
    """Write into empty axes why they are empty, and hide the axes."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, why, ha="center", va="center", color=style.GREY, transform=ax.transAxes)


def say(ax: Axes, why: str) -> None:
    """Write into axes why they show no value."""
    ax.text(0.5, 0.7, why, color=style.GREY, ha="center", va="center", transform=ax.transAxes)


def unmeasured(ax: Axes, rows: pl.DataFrame, name: str) -> None:
    """Write into axes that nothing was measured, if all values of a column are null."""
    if rows[name].is_null().all():
        say(ax, "nothing was measured:\ntoo few known statements, or no gap")


def numbers(rows: pl.DataFrame, name: str) -> np.ndarray:
    """Return a column as floats, NaN for null."""
    return rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
