"""Attribution patching: the estimated effect of each head's patch against the true effect."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import load, marks, registry, style
from stages.lib.drawing.columns import CELL, bounded, ints

NAMED = 4  # heads with a name: this many of the largest true effects, and of the largest errors
REACH = 0.9  # share of heads whose true effects the right panel holds
RIGHT = style.Look(style.SECOND[0], "o", "-")
WRONG = style.Look(style.SECOND[4], "X", "-")


def draw(tables: load.Tables) -> Figure:
    """Estimated against true effect, one point per head."""
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
    """All heads, the line of agreement, and the names of the heads with the largest effects."""
    if rows.is_empty() or rows["effect"].is_null().all():
        marks.nothing(ax, "no known statement:\nnothing was measured")
        return
    true, estimate = (marks.numbers(rows, name) for name in ("effect", "estimate"))
    wrong = rows["wrong_sign"].to_numpy().astype(bool)
    ax.axline((0, 0), slope=1, color="black", linewidth=1.2, linestyle=style.HALF)
    for zero in (ax.axhline, ax.axvline):
        zero(0, color="#B0B0B0", linewidth=1)
    for chosen, look, size in ((~wrong, RIGHT, 6), (wrong, WRONG, 9)):
        ax.plot(true[chosen], estimate[chosen], look.marker, color=look.colour, markersize=size,
                alpha=0.8, markeredgecolor="white")  # fmt: skip
    far = [np.argsort(-np.abs(x), kind="stable")[:NAMED] for x in (true, estimate - true)]
    for i in np.union1d(np.concatenate(far), np.flatnonzero(wrong)):
        layer, head = rows["layer"][int(i)], rows["head"][int(i)]
        ax.annotate(f"{layer}.{head}", (true[i], estimate[i]), xytext=(5, 4), fontsize=11,
                    textcoords="offset points", color=style.GREY, annotation_clip=True)  # fmt: skip
    ax.set(xlabel="true effect (nats)", ylabel="estimated effect (nats)")


def _zoom(ax: Axes, rows: pl.DataFrame) -> None:
    """Show most of the true effects, at one scale for both axes."""
    values = rows["effect"].drop_nulls().abs()
    reach = float(values.quantile(REACH) or 0.0) if len(values) else 0.0
    if reach > 0:
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
        ax.locator_params(nbins=5)


TABLES = {
    "attribution_patching/attribution_patching": CELL
    | bounded("effect")
    | bounded("estimate")
    | ints("n")
    | {"wrong_sign": pl.Boolean}
}
FIGURES = (registry.Figure("attribution_patching.png", draw, TABLES),)
