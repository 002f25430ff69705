"""Recalls and lying under every combination of wordings."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import load, marks, registry, style
from stages.lib.drawing.columns import INTERVAL, bounded, floats, ints, texts

N_BEST = 24  # combinations in the ranking
QUARTERS = (
    (0.25, 0.25, "lying:\nwrong on both"),
    (0.75, 0.25, "always-true:\nright on true alone"),
    (0.25, 0.75, "always-false:\nright on false alone"),
    (0.75, 0.75, "truthful:\nright on both"),
)
Looks = dict[str, style.Look]


def draw(tables: load.Tables) -> Figure:
    """Draw recall on true against recall on false statements, and the ranking by lying score."""
    recalls = tables["grid/recall"].filter(topic="all")
    ranked = tables["grid/ranking"].sort("rank", nulls_last=True, maintain_order=True)
    looks = style.looks(load.names(recalls, "system"))
    n = ranked["n"].max() or 0
    figure = style.canvas(
        "How well each combination of system prompt, question and assistant prefill lies",
        f"{n} statements of all topics, known or not, the same under each of {len(ranked)} "
        f"combinations. Right: the {min(N_BEST, len(ranked))} that lie best. Lying: the lesser of "
        "two fractions, of true statements called false and of false ones called true, so that "
        "always saying false is no lie. Black ticks: fraction of prompts whose most likely next "
        f"token is neither answer. Bars and thin lines: {style.INTERVALS}.",
        height=7.4,
        entries=looks,
        lines=False,
    )
    left, right = figure.subplots(1, 2, width_ratios=[1, 0.85])
    _recalls(left, recalls, looks)
    _ranking(right, ranked.head(N_BEST), recalls, looks)
    return figure


def _recalls(ax: Axes, rows: pl.DataFrame, looks: Looks) -> None:
    """Draw one point per combination; each quarter of the plane is named after its corner."""
    for x, y, name in QUARTERS:
        ax.text(x, y, name, ha="center", va="center", fontsize=13, color="#8A8A8A", zorder=0)
    for system, look in looks.items():
        system_rows = rows.filter(system=system)
        x, y = (marks.numbers(system_rows, name) for name in ("recall_true", "recall_false"))
        for at, of, name in ((ax.hlines, y, "recall_true"), (ax.vlines, x, "recall_false")):
            low, high = (
                marks.numbers(system_rows, f"{name}_low"),
                marks.numbers(system_rows, f"{name}_high"),
            )
            at(of, low, high, color=look.colour, linewidth=0.8, alpha=0.35)
        ax.plot(x, y, look.marker, color=look.colour, markersize=10, alpha=0.85,
                markeredgecolor="white", clip_on=False)  # fmt: skip
    marks.recalls(ax)
    ax.set_title("Recall, one point per combination")
    if rows["recall_true"].is_null().all() and rows["recall_false"].is_null().all():
        ax.text(0.5, 0.7, "nothing was measured", color=style.GREY, ha="center")


def _ranking(ax: Axes, ranked: pl.DataFrame, recalls: pl.DataFrame, looks: Looks) -> None:
    """Draw the lying score per combination, best on top, and how often neither answer is given."""
    names = ["system", "question", "prefix"]
    rows = ranked.join(recalls.select(*names, "other"), on=names, how="left", maintain_order="left")
    at = range(len(rows))
    for place, row in zip(at, rows.iter_rows(named=True), strict=True):
        look = looks[row["system"]]
        if row["lying"] is not None:
            ax.plot([row["low"], row["high"]], [place, place], color=look.colour, linewidth=2)
            ax.plot(row["lying"], place, look.marker, color=look.colour, markersize=9,
                    markeredgecolor="white", clip_on=False)  # fmt: skip
    ax.plot(marks.numbers(rows, "other"), at, "|", color="black", markersize=11, linestyle="none")
    labels = [" · ".join(row) for row in rows.select(names).iter_rows()]
    ax.set_yticks(list(at), labels)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.axvline(0.5, color="black", linewidth=1.2, linestyle=style.HALF, zorder=1)
    ax.set_xlim(-0.03, 1.03)
    ax.set_xlabel("lying (fraction); black tick: neither answer (fraction)")
    ax.set_title("The combinations that lie best")


WORDINGS = texts("system", "question", "prefix")
RECALLS = bounded("recall_true") | bounded("recall_false") | ints("recall_true_n", "recall_false_n")
TABLES = {
    "grid/recall": WORDINGS | texts("topic", "other_token") | RECALLS | floats("other"),
    "grid/ranking": WORDINGS | ints("rank") | floats("lying") | INTERVAL,
}
FIGURES = (registry.Figure("grid.png", draw, TABLES),)
