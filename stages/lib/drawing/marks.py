"""What is drawn into axes: lines with bands, points with bars, heatmaps, and the shared axes."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import polars as pl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import FigureBase

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
        One row a point, in any order; a null leaves a gap.
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


def heat(ax: Axes, rows: pl.DataFrame, value: str, limits: tuple[float, float]) -> None:
    """Draw a value by layer (upwards) and head; cells without a value stay grey.

    Parameters
    ----------
    ax : Axes
        Drawn into.
    rows : DataFrame
        With columns `layer`, `head` and that of `value`, one row a cell.
    value : str
        Name of the column.
    limits : tuple of float
        Values at the two ends of the colours; the middle is white.
    """
    layers, heads = (rows[name].unique().sort().to_list() for name in ("layer", "head"))
    cells = np.full((len(layers), len(heads)), np.nan)
    for layer, head, number in rows.select("layer", "head", value).iter_rows():
        cells[layers.index(layer), heads.index(head)] = np.nan if number is None else number
    low, high = limits
    ax.set_facecolor("#D0D0D0")
    sns.heatmap(cells, ax=ax, vmin=low, vmax=high, cmap=style.DIVERGING, cbar=False)
    ax.invert_yaxis()
    ax.grid(False)
    _thin(ax, "x", heads)
    _thin(ax, "y", layers)
    ax.set_xlabel("head")
    ax.set_ylabel("layer")


def colour_bar(
    figure: FigureBase, axes: list[Axes], limits: tuple[float, float], label: str
) -> None:
    """One colour bar for heatmaps that were drawn with the same limits."""
    mappable = ScalarMappable(Normalize(*limits), mpl.colormaps[style.DIVERGING])
    figure.colorbar(mappable, ax=axes, label=label, fraction=0.05, pad=0.02)


def rates(ax: Axes, label: str = style.ACCURACY) -> None:
    """A y axis from 0 to 1 with a line at 0.5: chance where half of the statements are true."""
    ax.set_ylim(-0.03, 1.03)
    ax.set_ylabel(label)
    ax.axhline(0.5, color="black", linewidth=1.2, linestyle=style.HALF, zorder=1)


def splits_axis(ax: Axes, names: Sequence[str], counts: dict[str, int]) -> dict[str, float]:
    """Places of the splits on the x axis, 'all' set apart, each labelled with its n.

    Parameters
    ----------
    ax : Axes
        Drawn into.
    names : sequence of str
        The splits in their order, without 'all'.
    counts : dict of str to int
        n of each split and of 'all'.

    Returns
    -------
    dict of str to float
        Where each split is, and 'all'.
    """
    places = {name: float(i) for i, name in enumerate(names)} | {"all": len(names) + 0.5}
    labels = [f"{name} ({counts.get(name, 0)})" for name in places]
    ax.set_xticks(list(places.values()), labels, rotation=30, ha="right", rotation_mode="anchor")
    ax.tick_params(axis="x", length=0)
    ax.grid(False, axis="x")
    ax.axvline(len(names) - 0.25, color="black", linewidth=0.8)
    ax.set_xlim(-0.6, len(names) + 1.1)
    ax.set_xlabel("split (number of statements)")
    return places


def dodge(n: int) -> np.ndarray:
    """Offsets of n series around a place on the x axis, at most 0.15 apart."""
    return (np.arange(n) - (n - 1) / 2) * min(0.15, 0.7 / max(1, n))


def nothing(ax: Axes, why: str) -> None:
    """Say in an empty axes why it is empty."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, why, ha="center", va="center", color=style.GREY, transform=ax.transAxes)


def unmeasured(ax: Axes, rows: pl.DataFrame, name: str) -> None:
    """Say so in an axes all of whose values are missing."""
    if rows[name].is_null().all():
        ax.text(0.5, 0.7, "no known statement:\nnothing was measured", color=style.GREY,
                ha="center", va="center", transform=ax.transAxes)  # fmt: skip


def numbers(rows: pl.DataFrame, name: str) -> np.ndarray:
    """A column as floats, NaN for null."""
    return rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _thin(ax: Axes, axis: str, labels: list[int]) -> None:
    """Ticks in the middle of cells, at most about a dozen."""
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100) if len(labels) / s <= 16)
    places = [i for i, label in enumerate(labels) if label % step == 0]
    ax.set(
        **{
            f"{axis}ticks": [i + 0.5 for i in places],
            f"{axis}ticklabels": [str(labels[i]) for i in places],
        }
    )
    ax.tick_params(axis=axis, rotation=0)  # pyright: ignore[reportArgumentType]
