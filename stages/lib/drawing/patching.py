"""Runs of patching, as every figure names and draws them."""
# matplotlib leaves the type of its **kwargs open.
# pyright: reportUnknownMemberType=false

from collections.abc import Iterable
from typing import cast

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from stages.lib.drawing import load, marks, style

CONTROLS = ("random", "elsewhere")
RUNS = ("source", "patched", "base", "reverse", *CONTROLS)  # as the tables name them, in our order
P_CORRECT = "p_correct (mean probability)"
Looks = dict[str, style.Look]


def titles(tables: load.Tables) -> dict[str, str]:
    """What each run is called: the persona it answers as, and whether it is patched."""
    return {
        "source": tables.source,
        "patched": f"patched {tables.base}",
        "base": tables.base,
        "reverse": f"patched {tables.source}",
        "random": "random, same layers",
        "elsewhere": "random, other layers",
    }


def looks(tables: load.Tables) -> Looks:
    """Look of each run; baselines look as their personas do."""
    personas = style.looks(tables.personas)
    return {
        "source": personas[tables.source],
        "patched": style.PATCHED,
        "base": personas[tables.base],
        "reverse": style.REVERSE,
        "random": style.RANDOM,
        "elsewhere": style.ELSEWHERE,
    }


def entries(tables: load.Tables, runs: Iterable[str]) -> Looks:
    """What a legend shows for the runs: their titles and looks."""
    called, seen = titles(tables), looks(tables)
    return {called[run]: seen[run] for run in runs}


def windows(ax: Axes, tables: load.Tables, y: str, split: str) -> None:
    """Patched run of one split by first layer, both baselines, and the window that was chosen."""
    seen = looks(tables)
    rows = tables["windows/windows"].filter(split=split)
    for run in ("patched", "source", "base"):  # thin over thick: all show if they agree
        own = rows.filter(run=run)
        marks.line(ax, own, "first_layer", y, seen[run], width=3 if run == "patched" else 1.8)
    marks.rates(ax, P_CORRECT if y == "p_correct" else style.ACCURACY)
    marks.unmeasured(ax, rows, y)
    first = rows["first_layer"].to_list()
    ax.set_xlim(min(first, default=0) - 0.5, max(first, default=0) + 0.5)
    ax.set_xlabel("first layer of the window")
    _mark_best(ax, tables, shared(rows, y, tables.window))


def shared(rows: pl.DataFrame, y: str, size: int) -> str:
    """Say which layers all windows share whose y is above 0.5; empty if they share none.

    Parameters
    ----------
    rows : DataFrame
        Windows of one split, with columns `run`, `first_layer` and that of `y`.
    y : str
        Name of the column.
    size : int
        Layers in a window.
    """
    above = rows.filter(pl.col("run") == "patched", pl.col(y) > 0.5)["first_layer"]
    if above.len() < 2:
        return ""
    low, high = above.to_numpy().max(), above.to_numpy().min() + size - 1
    layers = f"layer {low}" if low == high else f"layers {low}–{high}"
    return f"all {above.len()} windows above 0.5 hold {layers}" if low <= high else ""


def _mark_best(ax: Axes, tables: load.Tables, note: str) -> None:
    """The chosen window, and the note, above the highest value."""
    layers = tables["heads/heads"]["layer"].unique().sort().to_list()
    ax.set_ylim(top=1.19)
    if not layers:
        ax.annotate("no window was chosen", (0.5, 1.1), xycoords=("axes fraction", "data"),
                    ha="center", va="center", fontsize=12)  # fmt: skip
    else:
        right = layers[0] > tables["windows/windows"]["first_layer"].to_numpy().max() / 2
        ax.axvline(layers[0], color="black", linewidth=1)
        ax.annotate(
            f"chosen: layers {layers[0]}–{layers[-1]}\n{note}".strip(), (layers[0], 1.1),
            xytext=(-6 if right else 6, 0), textcoords="offset points",
            ha="right" if right else "left", va="center", fontsize=12,
        )  # fmt: skip


def cloud(ax: Axes, at: np.ndarray, rows: pl.DataFrame, look: style.Look) -> None:
    """Random sets: one dot each, a bar for the mean of those at one place."""
    values = marks.numbers(rows, "accuracy")
    ax.plot(at, values, ".", color=look.colour, markersize=6, alpha=0.7, markeredgewidth=0)
    for place in np.unique(at[~np.isnan(values)]):
        mean = np.nanmean(values[at == place])
        ax.plot([place - 0.1, place + 0.1], [mean, mean], color=style.GREY, linewidth=2.5)


def random(tables: load.Tables) -> pl.DataFrame:
    """Rows of random sets of the same layers, over all topics: one per set, with its n."""
    return tables["transplant/transplant"].filter(run="random", topic="all")


def n_random(tables: load.Tables) -> int:
    """Statements that random sets ran on."""
    return cast(int, random(tables)["n"].max() or 0)
