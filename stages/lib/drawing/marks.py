"""What is drawn into axes: lines with bands, points with bars, and the axes of rates."""
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
    """Draw y over x as a line, with a band between the columns of its interval, if there are any.

    These are `<y>_low` and `<y>_high`, or else `low` and `high`.

    Parameters
    ----------
    ax : Axes
        Drawn into.
    rows : DataFrame
        One row per point, in any order; a null leaves a gap.
    x, y : str
        Names of the columns.
    look : Look
        Colour, marker and dashes.
    width : float
        Of the line, in points.
    """
    rows = rows.sort(x)
    at = numbers(rows, x)
    own = f"{y}_" if f"{y}_low" in rows.columns else ""
    if f"{own}low" in rows.columns:
        low, high = numbers(rows, f"{own}low"), numbers(rows, f"{own}high")
        ax.fill_between(at, low, high, color=look.colour, alpha=0.15, linewidth=0)
    step = max(1, len(at) // 8)
    ax.plot(
        at,
        numbers(rows, y),
        color=look.colour,
        linestyle=look.dash,
        linewidth=width,
        marker=look.marker,
        markeredgecolor="white",
        markevery=(
            max(0, style.MARKERS.find(look.marker)) % step,
            step,
        ),  # apart where lines coincide
    )


def lines(
    ax: Axes, rows: pl.DataFrame, by: str, looks: Mapping[str, style.Look], x: str, y: str
) -> None:
    """Draw one `line` per value of column `by` that has a look, in the order of the looks."""
    for name, look in looks.items():
        line(ax, rows.filter(pl.col(by) == name), x, y, look)


def points(
    ax: Axes, at: np.ndarray, rows: pl.DataFrame, y: str, look: style.Look, size: float
) -> None:
    """Draw y at the given places, with `low` to `high` as a bar through each point.

    Parameters
    ----------
    ax : Axes
        Drawn into.
    at : array of float, shape (n_rows,)
        Where on the x axis.
    rows : DataFrame of n_rows rows
        With columns `low`, `high` and that of `y`; a null draws nothing.
    y : str
        Name of the column.
    look : Look
        Colour and marker.
    size : float
        Of the marker, in points.
    """
    ax.vlines(at, numbers(rows, "low"), numbers(rows, "high"), color=look.colour, linewidth=2)
    ax.plot(
        at,
        numbers(rows, y),
        linestyle="none",
        color=look.colour,
        marker=look.marker,
        markersize=size,
        markeredgecolor="white",
    )


def rates(ax: Axes, label: str = style.ACCURACY) -> None:
    """A y axis from 0 to 1 with a line at 0.5: chance where half of the statements are true."""
    ax.set_ylim(-0.03, 1.03)
    ax.set_ylabel(label)
    ax.axhline(0.5, color="black", linewidth=1.2, linestyle=style.HALF, zorder=1)


def shares(ax: Axes, label: str) -> None:
    """A y axis of shares, with lines at none and at all of the whole."""
    for level in (0, 1):
        ax.axhline(level, color="black", linewidth=1.2, linestyle=style.HALF, zorder=1)
    ax.set_ylabel(label)


def recalls(ax: Axes) -> None:
    """Axes of recall on true (x) and on false statements (y), both as `rates` draws them."""
    rates(ax, "recall on false statements (share)")
    ax.axvline(0.5, color="black", linewidth=1.2, linestyle=style.HALF, zorder=1)
    ax.set_xlim(-0.03, 1.03)
    ax.set_xlabel("recall on true statements (share)")


def nothing(ax: Axes, why: str) -> None:
    """Say in an empty axes why it is empty."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, why, ha="center", va="center", color=style.GREY, transform=ax.transAxes)


def say(ax: Axes, why: str) -> None:
    """Say within axes why they show no value."""
    ax.text(0.5, 0.7, why, color=style.GREY, ha="center", va="center", transform=ax.transAxes)


def unmeasured(ax: Axes, rows: pl.DataFrame, name: str) -> None:
    """Say so in an axes all of whose values are missing."""
    if rows[name].is_null().all():
        say(ax, "no known statement:\nnothing was measured")


def numbers(rows: pl.DataFrame, name: str) -> np.ndarray:
    """A column as floats, NaN for null."""
    return rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
