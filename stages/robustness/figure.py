"""Head sets chosen on one topic or one wording, scored on every other."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import heat, load, marks, places, registry, style
from stages.lib.drawing.columns import POINT, ROLES, floats, ints, texts

COLUMNS = 3  # wordings side by side
LIMITS = (0.0, 1.0)


def draw(tables: load.Tables) -> Figure:
    """Draw accuracy by set, topic and wording, accuracy over all topics, and overlap of sets."""
    rows = tables["robustness/table"]
    wordings = load.names(rows, "wording")
    looks = style.looks(wordings, style.SECOND)
    forward_rows = rows.filter(pl.col("run") != "reverse")
    n_map_rows = -(-len(wordings) // COLUMNS)
    figure = style.canvas(
        "Head sets chosen on one topic or wording, scored on every other: "
        f"{tables.source} patched into {tables.base}",
        "Sets of equal size of the best window's heads: those with the largest effects, on the "
        "selection split of one topic in the default wording, or of all topics in one wording; "
        "search: the head set of the other figures. Above: accuracy on the report split, by topic "
        f"({_sizes(rows)}) and wording; white is 0.5, which one word as the answer to "
        "everything has; grey was not "
        "measured. Below, left: heads "
        "in both sets as a share of the heads in either. Below, right: all topics together, "
        f"{style.INTERVALS}; "
        f"hollow: the reverse, {tables.base} patched into {tables.source}.",
        height=4.7 * n_map_rows + 5.6,
        entries={f"wording {name}": look for name, look in looks.items()},
        lines=False,
        half="0.5",
    )
    grid = figure.add_gridspec(n_map_rows + 1, 2 * COLUMNS)
    maps = []
    for i, wording in enumerate(wordings):
        row, column = divmod(i, COLUMNS)
        ax = figure.add_subplot(grid[row, 2 * column : 2 * column + 2])
        own = forward_rows.filter(wording=wording)
        _accuracy(ax, own, labelled=column == 0)
        ax.set_title(f"wording {wording}")
        maps.append(ax)
    heat.colour_bar(figure, maps, LIMITS, style.ACCURACY)
    _overlap(figure.add_subplot(grid[n_map_rows, :3]), tables["robustness/overlap"])
    _overall(figure.add_subplot(grid[n_map_rows, 3:]), rows, looks)
    return figure


def _sizes(rows: pl.DataFrame) -> str:
    """Text with the numbers of statements per topic and in all."""
    counts = load.counts(rows)
    own = [n for topic, n in counts.items() if topic != "all"] or [0]
    few = f"{min(own)}" if min(own) == max(own) else f"{min(own)} to {max(own)}"
    return f"{few} known statements each, {counts.get('all', 0)} in all"


def _named(rows: pl.DataFrame, kind: str, name: str) -> pl.DataFrame:
    """A column `label` that names each set by what it was chosen on."""
    unpatched = pl.col(kind) == "unpatched"
    full = pl.concat_str(pl.col(kind), pl.lit(": "), pl.col(name))
    return rows.with_columns(label=pl.when(unpatched).then(pl.col(name)).otherwise(full))


def _accuracy(ax: Axes, rows: pl.DataFrame, labelled: bool) -> None:
    """Accuracy by set and topic, 'all' last."""
    rows = _named(rows, "chosen_on", "set")
    sets, topics = load.names(rows, "label"), [*load.topics(rows), "all"]
    heat.matrix(ax, rows, "accuracy", ("label", sets), ("topic", topics), LIMITS)
    _ticks(ax, sets if labelled else [], topics)
    ax.axvline(len(topics) - 1, color="black", linewidth=1)
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
    cells = heat.matrix(ax, rows, "jaccard", ("one", sets), ("two", sets), LIMITS)
    _ticks(ax, sets, sets)
    if len(sets) <= 20:
        for y, x in np.ndindex(cells.shape):
            text = f"{cells[y, x]:.2f}".removeprefix("0")
            ax.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=8)
    ax.set_title("overlap of sets (Jaccard index)")


def _overall(ax: Axes, rows: pl.DataFrame, looks: dict[str, style.Look]) -> None:
    """Accuracy over all topics, by set and wording, in both directions."""
    rows = _named(rows.filter(topic="all"), "chosen_on", "set")
    sets = load.names(rows, "label")
    where = {label: float(i) for i, label in enumerate(sets)}
    for wording, at, own in places.dodged(rows, "wording", looks, "label", where):
        look, back = looks[wording], (own["run"] == "reverse").to_numpy()
        marks.points(ax, at[~back], own.filter(~back), "accuracy", look, size=8)
        at, own = at[back], own.filter(back)
        low, value, high = (marks.numbers(own, name) for name in ("low", "accuracy", "high"))
        ax.vlines(at, low, high, color=look.colour, linewidth=1, linestyle=":")
        ax.plot(at, value, look.marker, markersize=8, markerfacecolor="white",
                markeredgecolor=look.colour)  # fmt: skip
    marks.unmeasured(ax, rows, "accuracy")
    places.names(ax, sets, rotation=45)
    marks.rates(ax)
    ax.set_title("all topics together")


def _ticks(ax: Axes, down: list[str], across: list[str]) -> None:
    """Names at two sides of a heatmap."""
    ax.set_xticks(np.arange(len(across)) + 0.5, across, rotation=45, ha="right",
                  rotation_mode="anchor", fontsize=10)  # fmt: skip
    ax.set_yticks(np.arange(len(down)) + 0.5 if down else [], down, rotation=0, fontsize=10)


SETS = texts("first_chosen_on", "first", "second_chosen_on", "second")
TABLES = {
    "robustness/table": texts("wording", "chosen_on", "set", "topic") | ROLES | POINT,
    "robustness/overlap": SETS | floats("jaccard") | ints("n"),
}
FIGURES = (registry.Figure("robustness.png", draw, TABLES),)
