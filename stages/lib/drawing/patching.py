"""Where the source run's z, written into the base run, turns its answers."""

from collections.abc import Iterable

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import load, marks, style

CONTROLS = ("random", "elsewhere")
RUNS = ("source", "patched", "base", "reverse", *CONTROLS)  # as the tables name them, in our order
TRUTH = "truth (mean probability)"
SELECTION = style.Look("#66B89B", "d", (0, (4, 3)))
Looks = dict[str, style.Look]


def draw_windows(tables: load.Tables) -> Figure:
    """Accuracy and truth of the patched run by first layer of the window, against baselines."""
    n = tables["windows/windows"].filter(pl.col("part") == "report")["n"].max() or 0
    figure = style.canvas(
        f"Windows: z of {tables.source} written into the run of {tables.base}",
        f"z of all heads in {tables.window} consecutive layers, at the last positions of the "
        f"prompt; {n} known statements of the report part. Bands: {style.INTERVALS}. The best "
        "window is chosen on the selection part, whose subjects are others. Truth: mean "
        "probability of the right answer out of both.",
        height=5.2,
        entries=entries(tables, ("patched", "source", "base"))
        | {f"{titles(tables)['patched']}, selection part": SELECTION},
        half="0.5",
    )
    left, right = figure.subplots(1, 2)
    windows(left, tables, "accuracy", "report")
    windows(right, tables, "truth", "report")
    selection = tables["windows/windows"].filter(
        pl.col("part") == "selection", pl.col("run") == "patched"
    )
    for ax, y in ((left, "accuracy"), (right, "truth")):
        marks.line(ax, selection.select("first_layer", y), "first_layer", y, SELECTION, width=1.5)
    return figure


def draw_heads(tables: load.Tables) -> Figure:
    """Effect of each head of the window, alone and left out, and the set grown greedily."""
    n = tables["heads/heads"]["n"].max() or 0
    figure = style.canvas(
        f"Heads of the best window: z of {tables.source} written into the run of {tables.base}",
        f"{n} known statements of the selection part. Alone: truth gained where this head alone is "
        "written. Left out: truth lost where all heads of the window but this one are written. "
        f"Ringed: in the greedy set. Bands: {style.INTERVALS}.",
        height=7.4,
    )
    grid = figure.subplots(2, 2, width_ratios=[1.1, 1])
    peak = tables["heads/heads"]["effect"].abs().max()
    limits = (-float(peak or 1), float(peak or 1))  # pyright: ignore[reportArgumentType]
    maps = list(grid[:, 0])
    for ax, measure, title in (
        (maps[0], "alone", "written alone: truth gained"),
        (maps[1], "left_out", "left out: truth lost"),
    ):
        _effects(ax, tables, measure, limits)
        ax.set_title(title)
    marks.colour_bar(figure, maps, limits, "truth (probability)")
    _greedy(grid[0, 1], grid[1, 1], tables)
    return figure


def draw_transplant(tables: load.Tables) -> Figure:
    """The head set on the report part of every split, its reverse, and random sets."""
    draws = tables["transplant/transplant"].filter(pl.col("run") == "random")["draw"].n_unique()
    figure = style.canvas(
        "Transplant of the head set, by split",
        f"Patched {tables.base}: z of the set's heads from {tables.source} written into "
        f"{tables.base}; patched {tables.source}: the reverse. Random: {draws} sets of as many "
        "heads, of the set's own layers or of the others, a dot each, their mean a bar. Known "
        f"statements of the report part. Bars: {style.INTERVALS}.",
        height=5.6,
        entries=entries(tables, RUNS),
        lines=False,
        half="0.5",
    )
    ax = figure.subplots()
    rows = tables["transplant/transplant"]
    places = marks.splits_axis(ax, load.splits(rows), load.counts(rows))
    _runs(ax, rows, places, tables)
    marks.unmeasured(ax, rows, "accuracy")
    marks.rates(ax)
    return figure


def titles(tables: load.Tables) -> dict[str, str]:
    """What each run is called: the persona it answers as, and whether it is patched."""
    return {
        "source": tables.source,
        "patched": f"patched {tables.base}",
        "base": tables.base,
        "reverse": f"patched {tables.source}",
        "random": "random, own layers",
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


def windows(ax: Axes, tables: load.Tables, y: str, part: str) -> None:
    """Patched run of one part by first layer, both baselines, and the window that was chosen."""
    seen = looks(tables)
    rows = tables["windows/windows"].filter(pl.col("part") == part)
    for run in ("patched", "source", "base"):  # thin over thick: all show if they agree
        own = rows.filter(pl.col("run") == run)
        marks.line(ax, own, "first_layer", y, seen[run], width=3 if run == "patched" else 1.8)
    marks.rates(ax, TRUTH if y == "truth" else style.ACCURACY)
    marks.unmeasured(ax, rows, y)
    first = rows["first_layer"].to_list()
    ax.set_xlim(min(first, default=0) - 0.5, max(first, default=0) + 0.5)
    ax.set_xlabel("first layer of the window")
    _mark_best(ax, tables)


def _mark_best(ax: Axes, tables: load.Tables) -> None:
    """The window whose heads were looked at one by one, named above the plot's highest value."""
    layers = tables["heads/heads"]["layer"].unique().sort().to_list()
    ax.set_ylim(top=1.13)
    if not layers:
        ax.annotate("no window was chosen", (0.5, 1.075), xycoords=("axes fraction", "data"),
                    ha="center", va="center", fontsize=12)  # fmt: skip
    else:
        right = layers[0] > tables["windows/windows"]["first_layer"].to_numpy().max() / 2
        ax.axvline(layers[0], color="black", linewidth=1)
        ax.annotate(
            f"best: layers {layers[0]}–{layers[-1]}", (layers[0], 1.075),
            xytext=(-6 if right else 6, 0), textcoords="offset points",
            ha="right" if right else "left", va="center", fontsize=12,
        )  # fmt: skip


def _effects(ax: Axes, tables: load.Tables, measure: str, limits: tuple[float, float]) -> None:
    """Effect of each head; the heads of the greedy set are ringed."""
    rows = tables["heads/heads"].filter(pl.col("measure") == measure)
    if rows.is_empty():
        marks.nothing(ax, "no window was chosen")
        return
    marks.heat(ax, rows, "effect", limits)
    layers, heads = (rows[name].unique().sort().to_list() for name in ("layer", "head"))
    chosen = tables["heads/sets"].drop_nulls("head").select("layer", "head").rows()
    for layer, head in chosen:
        place = heads.index(head) + 0.5, layers.index(layer) + 0.5
        ax.plot(*place, "o", markersize=11, markerfacecolor="none", markeredgecolor="black")


def _greedy(kept: Axes, accuracy: Axes, tables: load.Tables) -> None:
    """Share of the window's effect and accuracy, by number of heads."""
    if tables["heads/sets"].is_empty():
        marks.nothing(kept, "no head set was grown")
        marks.nothing(accuracy, "")
        return
    rows = tables["heads/sets"].sort("size")
    marks.line(kept, rows.select("size", "kept"), "size", "kept", style.PATCHED)
    marks.line(accuracy, rows, "size", "accuracy", style.PATCHED)
    kept.axhline(1, color="black", linewidth=1)
    kept.set_title("greedy set: share of the window's effect")
    kept.set_ylabel("effect kept (share)")
    accuracy.set_title("accuracy of the base run with the set written")
    marks.rates(accuracy)
    step = -(-len(rows) // 15)
    labels = [
        f"{size}" if head is None else f"{size}: L{layer} H{head}"
        for size, layer, head in rows.select("size", "layer", "head").iter_rows()
    ]
    kept.sharex(accuracy)
    kept.tick_params(labelbottom=False)
    accuracy.set_xticks(rows["size"].to_list()[::step], labels[::step], rotation=30, ha="right",
                        rotation_mode="anchor")  # fmt: skip
    accuracy.set_xlabel("heads in the set: the head added last")


def _runs(ax: Axes, rows: pl.DataFrame, places: dict[str, float], tables: load.Tables) -> None:
    """All runs side by side at each split."""
    seen = looks(tables)
    for run, offset in zip(RUNS, marks.dodge(len(RUNS)), strict=True):
        own = rows.filter(pl.col("run") == run)
        at = np.array([places[split] for split in own["split"]]) + offset
        if run in CONTROLS:
            cloud(ax, at, own, seen[run])
        else:
            marks.points(ax, at, own, "accuracy", seen[run], size=9)


def cloud(ax: Axes, at: np.ndarray, rows: pl.DataFrame, look: style.Look) -> None:
    """Random sets: one dot each, a bar for the mean of those at one place."""
    values = marks.numbers(rows, "accuracy")
    ax.plot(at, values, ".", color=look.colour, markersize=6, alpha=0.7, markeredgewidth=0)
    for place in np.unique(at[~np.isnan(values)]):
        mean = np.nanmean(values[at == place])
        ax.plot([place - 0.1, place + 0.1], [mean, mean], color=style.GREY, linewidth=2.5)
