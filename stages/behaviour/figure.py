"""Accuracy by persona, topic and confidence."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.lib.drawing import confidence, load, marks, places, registry, style
from stages.lib.drawing.columns import ACCURACY, BEHAVIOUR, floats, texts


def draw(tables: load.Tables) -> Figure:
    """Draw accuracy by topic, recall on true against false statements, and by confidence."""
    looks = style.looks(tables.personas)
    figure = style.canvas(
        "Accuracy by persona, topic and confidence",
        "Accuracy: fraction of statements whose likelier answer (true or false) is right; a "
        f"perfect liar has 0. Bars and bands: {style.INTERVALS}. Confidence: the larger of P(true) "
        "and P(false).",
        height=9.2,
        entries=looks,
    )
    grid = figure.add_gridspec(2, 3, height_ratios=[1.05, 1])
    _by_topic(figure.add_subplot(grid[0, :]), tables, looks)
    recall, accuracy, remaining = (figure.add_subplot(grid[1, i]) for i in range(3))
    _recalls(recall, tables, looks)
    rows = tables["behaviour/thresholds"]
    confidence.by_confidence(accuracy, remaining, rows, "persona", looks, "threshold")
    return figure


def _by_topic(ax: Axes, tables: load.Tables, looks: dict[str, style.Look]) -> None:
    """Draw accuracy by topic, personas side by side."""
    rows = tables["behaviour/accuracy"].filter(measure="accuracy")
    x_of_topic = places.topics(ax, rows)
    for persona, at, persona_rows in places.dodged(rows, "persona", looks, "topic", x_of_topic):
        marks.points(ax, at, persona_rows, "value", looks[persona], size=9)
    marks.rates(ax)


def _recalls(ax: Axes, tables: load.Tables, looks: dict[str, style.Look]) -> None:
    """Draw recall on true against recall on false statements: lying is low on both."""
    recall_table = tables["behaviour/accuracy"].pivot(
        "measure", index=["persona", "topic"], values="value"
    )
    for persona, look in looks.items():
        persona_rows = recall_table.filter(persona=persona)
        for rows, size, alpha in (
            (persona_rows.filter(pl.col("topic") != "all"), 6, 0.45),
            (persona_rows.filter(topic="all"), 14, 1.0),
        ):
            x, y = (marks.numbers(rows, f"recall_{side}") for side in ("true", "false"))
            ax.plot(x, y, look.marker, color=look.colour, markersize=size, alpha=alpha,
                    markeredgecolor="white")  # fmt: skip
    marks.recalls(ax)
    ax.set_title("Recall (large: all topics)")
    for x, y, text in (
        (0.25, 0.25, "wrong on both:\nlies"),
        (0.75, 0.25, "mostly\nsays true"),
        (0.25, 0.75, "mostly\nsays false"),
        (0.75, 0.75, "right\non both"),
    ):
        ax.text(x, y, text, color="#8A8A8A", fontsize=12, ha="center", va="center", zorder=0)


THRESHOLDS = {"behaviour/thresholds": texts("persona") | floats("threshold") | ACCURACY}
FIGURES = (registry.Figure("behaviour.png", draw, BEHAVIOUR | THRESHOLDS),)
