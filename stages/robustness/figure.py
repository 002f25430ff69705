"""Head sets chosen on one topic or one wording, scored on every other."""

from dataclasses import replace

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import heat, load, marks, patching, places, registry, style
from stages.lib.drawing.columns import POINT, ROLES, floats, ints, texts

COLUMNS = 3  # wordings side by side
LIMITS = (0.0, 1.0)
FROM_WHITE = (-1.0, 1.0)  # of a Jaccard index: 0.5 is not chance


def draw(tables: load.Tables) -> Figure:
    """Draw accuracy by set, topic and wording, accuracy over all topics, and overlap of sets."""
    rows = tables["robustness/table"]
    wordings = load.names(rows, "wording")
    markers = style.looks(wordings, [style.GREY])
    forward_rows = rows.filter(pl.col("run") != "reverse")
    n_map_rows = -(-len(wordings) // COLUMNS)
    runs = patching.entries(tables, ("source", "patched", "base", "reverse"))
    figure = style.canvas(
        "Accuracy of head sets chosen on one topic or wording, on every other: "
        f"{tables.source} into {tables.base}",
        "Sets of equally many heads of the best window, those with the largest effects on the "
        "selection split of one topic in the default wording, or of all topics in one wording "
        "(wording: NAME); head set: that of the other figures. Maps by wording: accuracy on the "
        f"report split, by topic ({_sizes(rows)}); white is chance (0.5), and grey was not "
        "measured. Overlap: heads in both sets as a fraction of the heads in either (Jaccard "
        f"index); white is none. Last panel: all topics, {style.INTERVALS}; patched "
        f"{tables.source}: the reverse, {tables.base} into {tables.source}.",
        height=5.6 * n_map_rows + 7.2,
        entries={f"wording {name}": look for name, look in markers.items()}
        | {name: replace(look, marker="H") for name, look in runs.items()},
        lines=False,
    )
    grid = figure.add_gridspec(2, 1, height_ratios=[5.6 * n_map_rows, 7.2])
    above, below = grid[0].subgridspec(n_map_rows, COLUMNS), grid[1].subgridspec(1, 2)
    maps = []
    for i, wording in enumerate(wordings):
        row, column = divmod(i, COLUMNS)
        ax = figure.add_subplot(above[row, column])
        own = forward_rows.filter(wording=wording)
        _accuracy(ax, own, labelled=column == 0)
        ax.set_title(f"wording {wording}")
        maps.append(ax)
    heat.colour_bar(figure, maps, LIMITS, style.ACCURACY)
    _overlap(figure, figure.add_subplot(below[0]), tables["robustness/overlap"])
    _overall(figure.add_subplot(below[1]), rows, markers, patching.looks(tables))
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


def _shown(label: str) -> str:
    """Write a label of `_named` as the reader sees it: a topic by its name alone."""
    return "head set" if label.startswith("search: ") else label.removeprefix("topic: ")


def _accuracy(ax: Axes, rows: pl.DataFrame, labelled: bool) -> None:
    """Accuracy by set and topic, 'all' last."""
    rows = _named(rows, "chosen_on", "set")
    sets, topics = load.names(rows, "label"), [*load.topics(rows), "all"]
    heat.matrix(ax, rows, "accuracy", ("label", sets), ("topic", topics), LIMITS)
    _ticks(ax, sets if labelled else [], topics)
    ax.axvline(len(topics) - 1, color="black", linewidth=1)
    ax.set_xlabel("scored on")
    if labelled:
        ax.set_ylabel("chosen on")


def _overlap(figure: Figure, ax: Axes, rows: pl.DataFrame) -> None:
    """Jaccard index of each pair of sets."""
    if rows.is_empty():
        marks.nothing(ax, "no set was chosen")
        return
    rows = _named(rows, "first_chosen_on", "first").rename({"label": "one"})
    rows = _named(rows, "second_chosen_on", "second").rename({"label": "two"})
    sets = load.names(rows, "one")
    heat.matrix(ax, rows, "jaccard", ("one", sets), ("two", sets), FROM_WHITE)
    _ticks(ax, sets, sets)
    heat.colour_bar(figure, [ax], FROM_WHITE, "Jaccard index", least=0.0)
    ax.set_title("overlap of sets")


def _overall(
    ax: Axes, rows: pl.DataFrame, markers: dict[str, style.Look], looks: dict[str, style.Look]
) -> None:
    """Accuracy over all topics, by set and wording, in both directions."""
    rows = _named(rows.filter(topic="all"), "chosen_on", "set")
    sets = load.names(rows, "label")
    where = {label: float(i) for i, label in enumerate(sets)}
    for wording, at, own in places.dodged(rows, "wording", markers, "label", where):
        for run, look in looks.items():
            is_run = (own["run"] == run).to_numpy()
            seen = replace(look, marker=markers[wording].marker)
            marks.across(ax, at[is_run], own.filter(is_run), "accuracy", seen, size=8)
    marks.unmeasured(ax, rows, "accuracy")
    places.names_down(ax, list(map(_shown, sets)))
    marks.rates_across(ax)
    ax.set_title("all topics, by wording")


def _ticks(ax: Axes, down: list[str], across: list[str]) -> None:
    """Names at two sides of a heatmap."""
    ax.set_xticks(np.arange(len(across)) + 0.5, list(map(_shown, across)), rotation=45,
                  ha="right", rotation_mode="anchor")  # fmt: skip
    places = np.arange(len(down)) + 0.5 if down else []
    ax.set_yticks(places, list(map(_shown, down)), rotation=0)


SETS = texts("first_chosen_on", "first", "second_chosen_on", "second")
TABLES = {
    "robustness/table": texts("wording", "chosen_on", "set", "topic") | ROLES | POINT,
    "robustness/overlap": SETS | floats("jaccard") | ints("n"),
}
FIGURES = (registry.Figure("robustness.png", draw, TABLES),)
