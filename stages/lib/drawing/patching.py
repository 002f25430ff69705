"""Titles, looks and drawings of patched runs, shared by the figures."""
# matplotlib leaves the type of its **kwargs open.
# pyright: reportUnknownMemberType=false

from collections.abc import Iterable
from typing import cast

import polars as pl
from matplotlib.axes import Axes

from stages.lib.drawing import load, marks, style

CONTROLS = ("random", "elsewhere")
RUNS = ("source", "patched", "base", "reverse", *CONTROLS)  # names in the tables, in drawing order
P_CORRECT = "P(correct), mean"
Looks = dict[str, style.Look]


def titles(tables: load.Tables) -> dict[str, str]:
    """Title of each run: the persona whose prompt it has, and whether it is patched."""
    return {
        "source": tables.source,
        "patched": f"patched {tables.base}",
        "base": tables.base,
        "reverse": f"patched {tables.source}",
        "random": "random, same layers",
        "elsewhere": "random, other layers",
    }


def looks(tables: load.Tables) -> Looks:
    """Look of each run; unpatched runs have the look of their persona."""
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
    """Legend entries of runs: their titles and looks."""
    run_titles, run_looks = titles(tables), looks(tables)
    return {run_titles[run]: run_looks[run] for run in runs}


def windows(ax: Axes, tables: load.Tables, y: str, split: str) -> None:
    """Draw patched and unpatched runs of a split by first layer, and mark the chosen window."""
    run_looks = looks(tables)
    rows = tables["windows/windows"].filter(split=split)
    for run in ("patched", "source", "base"):  # thin over thick: all show if they agree
        run_rows = rows.filter(run=run)
        marks.line(
            ax, run_rows, "first_layer", y, run_looks[run], width=3 if run == "patched" else 1.8
        )
    marks.rates(ax, P_CORRECT if y == "p_correct" else style.ACCURACY)
    marks.unmeasured(ax, rows, y)
    first = rows["first_layer"].to_list()
    ax.set_xlim(min(first, default=0) - 0.5, max(first, default=0) + 0.5)
    ax.set_xlabel("first layer of the window")
    _mark_best(ax, tables, shared(rows, y, tables.window))


def shared(rows: pl.DataFrame, y: str, size: int) -> str:
    """Say which layers all windows with y above 0.5 share; empty if they share no layer.

    Parameters
    ----------
    rows : DataFrame
        Windows of one split, with columns `run`, `first_layer` and `y`.
    y : str
        Name of the column with the value.
    size : int
        Layers in a window.
    """
    first_layers = rows.filter(pl.col("run") == "patched", pl.col(y) > 0.5)["first_layer"]
    if first_layers.len() < 2:
        return ""
    low, high = first_layers.to_numpy().max(), first_layers.to_numpy().min() + size - 1
    layers = f"layer {low}" if low == high else f"layers {low}–{high}"
    return f"all {first_layers.len()} windows above 0.5 hold {layers}" if low <= high else ""


def _mark_best(ax: Axes, tables: load.Tables, note: str) -> None:
    """Mark the first layer of the chosen window, and write the note above the data."""
    layers = tables["heads/heads"]["layer"].unique().sort().to_list()
    ax.set_ylim(top=1.19)
    if not layers:
        ax.annotate("no window was chosen", (0.5, 1.1), xycoords=("axes fraction", "data"),
                    ha="center", va="center", fontsize=12)  # fmt: skip
    else:
        in_right_half = layers[0] > tables["windows/windows"]["first_layer"].to_numpy().max() / 2
        ax.axvline(layers[0], color="black", linewidth=1)
        ax.annotate(
            f"chosen: layers {layers[0]}–{layers[-1]}\n{note}".strip(), (layers[0], 1.1),
            xytext=(-6 if in_right_half else 6, 0), textcoords="offset points",
            ha="right" if in_right_half else "left", va="center", fontsize=12,
        )  # fmt: skip


def cloud(ax: Axes, place: float, rows: pl.DataFrame, look: style.Look) -> None:
    """Draw random sets at a place of the x axis: one dot per set, and a dash for their mean."""
    rows = rows.drop_nulls("accuracy")
    if len(rows):
        marks.strip(ax, place, rows, "accuracy", look.colour, spread=0.08)
        mean = marks.numbers(rows, "accuracy").mean()
        ax.hlines(mean, place - 0.35, place + 0.35, color=look.colour, linewidth=3)


def random(tables: load.Tables) -> pl.DataFrame:
    """Select the random sets of the same layers, over all topics: one row per set."""
    return tables["transplant/transplant"].filter(run="random", topic="all")


def n_random(tables: load.Tables) -> int:
    """Return the number of statements that random sets were run on."""
    return cast(int, random(tables)["n"].max() or 0)
