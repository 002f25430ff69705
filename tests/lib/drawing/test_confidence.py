"""Panels of confident answers begin where there are answers."""

import polars as pl
import pytest
from matplotlib.figure import Figure

from stages.lib.drawing import confidence, style


@pytest.mark.parametrize(("least", "begins"), [(0.0, 0.0), (0.3, 0.0), (0.5, 0.5), (0.9, 0.5)])
def test_answers_below_a_half_are_shown_where_there_are_some(least, begins):
    """The larger of P(true) and P(false) is below 0.5 where other words are likely."""
    thresholds = [i / 20 for i in range(20)]
    counts = {"honest": [9] * 20, "liar": [9 if x <= least else 4 for x in thresholds]}
    if least >= 0.5:
        counts["not drawn"] = [9 - i % 9 for i in range(20)]
    rows = pl.DataFrame(
        [
            {"run": run, "x": x, "n": n, "accuracy": 0.5, "low": 0.4, "high": 0.6}
            for run, of_run in counts.items()
            for x, n in zip(thresholds, of_run, strict=True)
        ]
    )
    figure = Figure()
    accuracy, remaining = (figure.add_subplot(1, 2, i) for i in (1, 2))
    looks = {"honest": style.PATCHED, "liar": style.REVERSE}
    confidence.by_confidence(accuracy, remaining, rows, "run", looks, "x")
    assert [ax.get_xlim()[0] for ax in (accuracy, remaining)] == pytest.approx([begins - 0.015] * 2)
