"""Places names along the x axis, and series side by side at each name."""
# matplotlib leaves the type of its **kwargs open.
# pyright: reportUnknownMemberType=false

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from stages.lib.drawing import load
from stages.lib.names import BLOCKS

AFTER = "after layer (-1: the embeddings)"


def names(ax: Axes, labels: Sequence[str], rotation: int = 0) -> None:
    """Label the places 0, 1 and so on of the x axis; rotated labels end at their place."""
    ax.set_xticks(range(len(labels)), labels, rotation=rotation, rotation_mode="anchor",
                  ha="right" if rotation else "center", va="top")  # fmt: skip
    ax.set_xlim(-0.6, len(labels) - 0.4)
    ax.grid(False, axis="x")


def names_down(ax: Axes, labels: Sequence[str]) -> None:
    """Label the places 0, 1 and so on of the y axis, the first one on top."""
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")


def topics(ax: Axes, rows: pl.DataFrame) -> dict[str, float]:
    """Label the x axis with the topics and the n of each, 'all' set apart.

    Parameters
    ----------
    ax : Axes
        Axes to draw into.
    rows : DataFrame
        With columns `topic` and `n`.

    Returns
    -------
    dict of str to float
        Place of each topic and of 'all' on the x axis.
    """
    topic_names, counts = load.topics(rows), load.counts(rows)
    places = {name: float(i) for i, name in enumerate(topic_names)} | {
        "all": len(topic_names) + 0.5
    }
    labels = [f"{name} ({counts.get(name, 0)})" for name in places]
    ax.set_xticks(list(places.values()), labels, rotation=30, ha="right", rotation_mode="anchor")
    ax.tick_params(axis="x", length=0)
    ax.grid(False, axis="x")
    ax.axvline(len(topic_names) - 0.25, color="black", linewidth=0.8)
    ax.set_xlim(-0.6, len(topic_names) + 1.1)
    ax.set_xlabel("topic (number of statements)")
    return places


def dodged(
    rows: pl.DataFrame,
    by: str,
    series: Collection[str],
    x: str,
    places: Mapping[Any, float],
    gap: float = 0.15,
) -> Iterator[tuple[str, np.ndarray, pl.DataFrame]]:
    """Yield each series with x values, so that series stand side by side at each name.

    Parameters
    ----------
    rows : DataFrame
        With columns `by` and `x`.
    by : str
        Column that names the series.
    series : collection of str
        Names of the series, in their order.
    x : str
        Column with the names along the x axis.
    places : mapping to float
        Place of each name.
    gap : float
        Largest distance between neighbouring series.

    Yields
    ------
    name : str
        Name of the series.
    x_values : array of float, shape (n_rows,)
        Place of each row; neighbouring series are at most `gap` apart.
    series_rows : DataFrame of n_rows rows
        Rows of the series.
    """
    gap = min(gap, 0.7 / max(1, len(series)))
    for i, name in enumerate(series):
        series_rows = rows.filter(pl.col(by) == name)
        x_values = series_rows[x].replace_strict(places, return_dtype=pl.Float64).to_numpy()
        yield name, x_values + (i - (len(series) - 1) / 2) * gap, series_rows


def after_layer(rows: pl.DataFrame) -> pl.DataFrame:
    """Turn indices of the residual stream into the layers that they come after, see `AFTER`."""
    return rows.with_columns(layer=pl.col("layer") - 1)


def blocks(label: str) -> str:
    """Replace names of prompt blocks in a label by the report's names."""
    for name, title in BLOCKS.items():
        label = re.sub(rf"\b{name}$|\b{name}(?=\n)", title, label)
    return label
