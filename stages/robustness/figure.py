"""Head sets chosen on one split or one wording, scored on all the others."""

import numpy as np
import polars as pl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import load, marks, style

COLUMNS = 3  # wordings side by side
LIMITS = (0.0, 1.0)


def draw(tables: load.Tables) -> Figure:
    """Accuracy of each set by split and wording, over all splits, and the overlap of the sets."""
    rows = tables["robustness/table"]
    wordings = load.names(rows, "wording")
    looks = style.looks(wordings)
    shown = rows.filter(pl.col("run") != "reverse")
    above = -(-len(wordings) // COLUMNS)
    figure = style.canvas(
        f"Robustness of the head set: {tables.source} written into {tables.base}",
        "Sets of equal size of the best window's heads: those that gain most truth alone, on the "
        "selection part of one split in the default wording, or of all splits in one wording; "
        "search: the set of stage heads. Above: accuracy on the report part, by split "
        f"({_sizes(rows)}) and wording; white is 0.5, grey was not measured. Below: heads in both "
        f"sets as a share of those in either; and all splits together, {style.INTERVALS}; "
        f"hollow: the reverse, {tables.base} written into {tables.source}.",
        height=4.7 * above + 5.6,
        entries={f"wording {name}": look for name, look in looks.items()},
        lines=False,
        half="0.5",
    )
    grid = figure.add_gridspec(above + 1, 2 * COLUMNS)
    maps = []
    for i, wording in enumerate(wordings):
        row, column = divmod(i, COLUMNS)
        ax = figure.add_subplot(grid[row, 2 * column : 2 * column + 2])
        own = shown.filter(pl.col("wording") == wording)
        _accuracy(ax, own, labelled=column == 0)
        ax.set_title(f"wording {wording}")
        maps.append(ax)
    marks.colour_bar(figure, maps, LIMITS, style.ACCURACY)
    _overlap(figure.add_subplot(grid[above, :3]), tables["robustness/overlap"])
    _overall(figure.add_subplot(grid[above, 3:]), rows, looks)
    return figure


def _sizes(rows: pl.DataFrame) -> str:
    """How many statements there are, overall and in a split."""
    counts = load.counts(rows)
    own = [n for split, n in counts.items() if split != "all"] or [0]
    few = f"{min(own)}" if min(own) == max(own) else f"{min(own)} to {max(own)}"
    return f"{few} known statements each, {counts.get('all', 0)} in all"


def _named(rows: pl.DataFrame, kind: str, name: str) -> pl.DataFrame:
    """A column `label` that tells sets apart: what they were chosen on, and which it was."""
    unpatched = pl.col(kind) == "unpatched"
    full = pl.concat_str(pl.col(kind), pl.lit(": "), pl.col(name))
    return rows.with_columns(label=pl.when(unpatched).then(pl.col(name)).otherwise(full))


def _accuracy(ax: Axes, rows: pl.DataFrame, labelled: bool) -> None:
    """Accuracy by set and split, 'all' last."""
    rows = _named(rows, "chosen_on", "set")
    sets, splits = load.names(rows, "label"), [*load.splits(rows), "all"]
    cells = _cells(rows, sets, splits, "label", "split", "accuracy")
    _matrix(ax, cells, sets if labelled else [], splits)
    ax.axvline(len(splits) - 1, color="black", linewidth=1)
    if labelled:
        ax.set_ylabel("chosen on")


def _overlap(ax: Axes, rows: pl.DataFrame) -> None:
    """Jaccard index of each pair of sets."""
    if rows.is_empty():
        marks.nothing(ax, "no set was chosen")
        return
    rows = _named(rows, "first_chosen_on", "first").rename({"label": "one"})
    rows = _named(rows, "second_chosen_on", "second").rename({"label": "two"})
    sets = load.names(rows, "one")
    cells = _cells(rows, sets, sets, "one", "two", "jaccard")
    _matrix(ax, cells, sets, sets)
    if len(sets) <= 20:
        for y, x in np.ndindex(cells.shape):
            text = f"{cells[y, x]:.2f}".removeprefix("0")
            ax.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=8)
    ax.set_title("overlap of sets (Jaccard index)")


def _overall(ax: Axes, rows: pl.DataFrame, looks: dict[str, style.Look]) -> None:
    """Accuracy over all splits, by set and wording, in both directions."""
    rows = _named(rows.filter(pl.col("split") == "all"), "chosen_on", "set")
    sets = load.names(rows, "label")
    for (wording, look), offset in zip(looks.items(), marks.dodge(len(looks)), strict=True):
        own = rows.filter(pl.col("wording") == wording)
        forth, back = (own.filter((pl.col("run") == "reverse") == reverse) for reverse in (0, 1))
        marks.points(ax, _at(forth, sets) + offset, forth, "accuracy", look, size=8)
        at = _at(back, sets) + offset
        low, high = (marks.numbers(back, name) for name in ("low", "high"))
        ax.vlines(at, low, high, color=look.colour, linewidth=1, linestyle=":")
        ax.plot(at, marks.numbers(back, "accuracy"), look.marker, markersize=8,
                markerfacecolor="white", markeredgecolor=look.colour)  # fmt: skip
    marks.unmeasured(ax, rows, "accuracy")
    ax.set_xticks(range(len(sets)), sets, rotation=45, ha="right", rotation_mode="anchor")
    ax.grid(False, axis="x")
    ax.set_xlim(-0.6, len(sets) - 0.4)
    marks.rates(ax)
    ax.set_title("all splits together")


def _at(rows: pl.DataFrame, sets: list[str]) -> np.ndarray:
    """Places of the rows' sets on the x axis."""
    return np.array([float(sets.index(label)) for label in rows["label"]])


def _cells(
    rows: pl.DataFrame, down: list[str], across: list[str], y: str, x: str, value: str
) -> np.ndarray:
    """Values as a matrix; NaN where there is none."""
    cells = np.full((len(down), len(across)), np.nan)
    for one, two, number in rows.select(y, x, value).iter_rows():
        cells[down.index(one), across.index(two)] = np.nan if number is None else number
    return cells


def _matrix(ax: Axes, cells: np.ndarray, down: list[str], across: list[str]) -> None:
    """A heatmap with names at its sides, the first row on top."""
    ax.set_facecolor("#D0D0D0")
    low, high = LIMITS
    sns.heatmap(cells, ax=ax, vmin=low, vmax=high, cmap=style.DIVERGING, cbar=False)
    ax.grid(False)
    ax.set_xticks(np.arange(len(across)) + 0.5, across, rotation=45, ha="right",
                  rotation_mode="anchor", fontsize=10)  # fmt: skip
    ax.set_yticks(np.arange(len(down)) + 0.5 if down else [], down, rotation=0, fontsize=10)
