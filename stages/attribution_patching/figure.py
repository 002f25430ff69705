"""Attribution patching: the estimated effect of each head's patch against the true effect."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import load, marks, registry, style
from stages.lib.drawing.columns import ESTIMATES

NAMED = 4  # heads with a label: 4 with the largest true effects, and 4 with the largest errors
REACH = 0.9  # fraction of heads whose true effects fit into the right panel
RIGHT = style.Look(style.SECOND[0], "o", "-")
WRONG = style.Look(style.SECOND[4], "X", "-")


def draw(tables: load.Tables) -> Figure:
    """Draw estimated against true effect, one point per head."""
    rows = tables["attribution_patching/attribution_patching"]
    n = rows["n"].max() or 0
    source, base = tables.source, tables.base
    figure = style.canvas(
        "Attribution patching: estimated and true effect of patching each head alone",
        f"One point per head: z of {source} patched into the {base} run at this head alone. "
        "Effect: log-odds that the patch adds to the right answer, in nats, mean over "
        f"{n} known statements of the selection split. Estimated: from one gradient. True: from a "
        "run with the patch. Wrong sign: of heads whose true effect is at least a tenth of "
        "the largest. Right: without the "
        f"{1 - REACH:.0%} of heads with the largest true effects.".replace("%", " %"),
        height=6.2,
        entries={"same sign, or small effect": RIGHT, "wrong sign": WRONG},
        lines=False,
        half="both agree",
    )
    left, right = figure.subplots(1, 2)
    for ax, title in ((left, "all heads"), (right, "heads with small effects")):
        _scatter(ax, rows)
        ax.set_title(title)
    _zoom(right, rows)
    return figure


def _scatter(ax: Axes, rows: pl.DataFrame) -> None:
    """Draw all heads, the line of agreement, and labels of the most notable heads."""
    if rows.is_empty() or rows["effect"].is_null().all():
        marks.nothing(ax, "no known statement:\nnothing was measured")
        return
    true_effect, estimate = (marks.numbers(rows, name) for name in ("effect", "estimate"))
    is_wrong = rows["wrong_sign"].to_numpy().astype(bool)
    ax.axline((0, 0), slope=1, color="black", linewidth=1.2, linestyle=style.HALF)
    for zero in (ax.axhline, ax.axvline):
        zero(0, color="#B0B0B0", linewidth=1)
    for mask, look, size in ((~is_wrong, RIGHT, 6), (is_wrong, WRONG, 9)):
        ax.plot(true_effect[mask], estimate[mask], look.marker, color=look.colour, markersize=size,
                alpha=0.8, markeredgecolor="white")  # fmt: skip
    extremes = [
        np.argsort(-np.abs(x), kind="stable")[:NAMED] for x in (true_effect, estimate - true_effect)
    ]
    for i in np.union1d(np.concatenate(extremes), np.flatnonzero(is_wrong)):
        layer, head = rows["layer"][int(i)], rows["head"][int(i)]
        ax.annotate(f"{layer}.{head}", (true_effect[i], estimate[i]), xytext=(5, 4), fontsize=11,
                    textcoords="offset points", color=style.GREY, annotation_clip=True)  # fmt: skip
    ax.set(xlabel="true effect (nats)", ylabel="estimated effect (nats)")


def _zoom(ax: Axes, rows: pl.DataFrame) -> None:
    """Limit the true effects to the range of most of them, and show all estimates of these."""
    values = rows["effect"].drop_nulls().abs()
    reach = float(values.quantile(REACH) or 0.0) if len(values) else 0.0
    if reach > 0:
        estimates = marks.numbers(rows.filter(pl.col("effect").abs() <= reach), "estimate")
        height = max(reach, 1.05 * float(np.abs(estimates).max(initial=0.0)))
        ax.set(xlim=(-reach, reach), ylim=(-height, height))
        ax.locator_params(nbins=5)


FIGURES = (registry.Figure("attribution_patching.png", draw, ESTIMATES),)
