"""Names along the x axis, and series side by side at each of them."""
# matplotlib leaves the type of its **kwargs open.
# pyright: reportUnknownMemberType=false

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from stages.lib.drawing import load
from stages.lib.names import BLOCKS

AFTER = "after layer (-1: the embeddings)"


def names(ax: Axes, labels: Sequence[str], rotation: int = 0) -> None:
    """Labels below the places 0, 1 and so on; turned ones end below their place."""
    ax.set_xticks(range(len(labels)), labels, rotation=rotation, rotation_mode="anchor",
                  ha="right" if rotation else "center", va="top")  # fmt: skip
    ax.set_xlim(-0.6, len(labels) - 0.4)
    ax.grid(False, axis="x")


def topics(ax: Axes, rows: pl.DataFrame) -> dict[str, float]:
    """Label the x axis with the topics and the n of each, 'all' set apart.

    Parameters
    ----------
    ax : Axes
        Drawn into.
    rows : DataFrame
        With columns `topic` and `n`.

    Returns
    -------
    dict of str to float
        Where each topic is, and 'all'.
    """
    single, counts = load.topics(rows), load.counts(rows)
    places = {name: float(i) for i, name in enumerate(single)} | {"all": len(single) + 0.5}
    labels = [f"{name} ({counts.get(name, 0)})" for name in places]
    ax.set_xticks(list(places.values()), labels, rotation=30, ha="right", rotation_mode="anchor")
    ax.tick_params(axis="x", length=0)
    ax.grid(False, axis="x")
    ax.axvline(len(single) - 0.25, color="black", linewidth=0.8)
    ax.set_xlim(-0.6, len(single) + 1.1)
    ax.set_xlabel("topic (number of statements)")
    return places


def dodged(
    rows: pl.DataFrame, by: str, series: Collection[str], x: str, places: Mapping[str, float]
) -> Iterator[tuple[str, np.ndarray, pl.DataFrame]]:
    """Yield each series with its places, so that they stand side by side around those of `x`.

    Parameters
    ----------
    rows : DataFrame
        With columns `by` and `x`.
    by : str
        Column that names the series.
    series : collection of str
        Names of the series, in their order.
    x : str
        Column of names along the x axis.
    places : mapping of str to float
        Where each name is.

    Yields
    ------
    name : str
        Of the series.
    at : array of float, shape (n_rows,)
        Place of each of its rows; neighbouring series are at most 0.15 apart.
    own : DataFrame of n_rows rows
        The series.
    """
    gap = min(0.15, 0.7 / max(1, len(series)))
    for i, name in enumerate(series):
        own = rows.filter(pl.col(by) == name)
        at = own[x].replace_strict(places, return_dtype=pl.Float64).to_numpy()
        yield name, at + (i - (len(series) - 1) / 2) * gap, own


def after_layer(rows: pl.DataFrame) -> pl.DataFrame:
    """Turn indices of the residual stream into the layers after which they are, `AFTER`."""
    return rows.with_columns(layer=pl.col("layer") - 1)


def blocks(label: str) -> str:
    """Name the places of the prompt in a label as the report does."""
    for name, said in BLOCKS.items():
        label = re.sub(rf"\b{name}$|\b{name}(?=\n)", said, label)
    return label
