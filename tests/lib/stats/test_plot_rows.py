"""Numbers and intervals read back from rows of plot tables."""

import pytest

from stages.lib.io.tables import Row
from stages.lib.stats import NOTHING, Interval, plot_rows, run_points

INTERVAL = Interval(0.5, 0.25, 0.75, 12)


@pytest.mark.parametrize("interval", [INTERVAL, NOTHING])
def test_an_interval_comes_back_from_its_columns(interval):
    assert plot_rows.interval({"run": "base", **interval.row("accuracy")}, "accuracy") == interval


def test_a_second_interval_shares_n_with_the_first_one():
    row: Row = {
        **INTERVAL.row("accuracy"),
        **run_points.beside("gained", Interval(1.5, 1.0, 2.0, 12)),
    }
    assert plot_rows.second_interval(row, "gained") == Interval(1.5, 1.0, 2.0, 12)
    without: Row = row | run_points.beside("gained", Interval(None, None, None, 12))
    assert plot_rows.second_interval(without, "gained") == NOTHING


def test_a_text_is_no_number():
    assert plot_rows.number({"layer": 3, "head": None}, "layer") == 3
    assert plot_rows.number({"layer": 3, "head": None}, "head") is None
    with pytest.raises(TypeError, match="'layer' holds the text '3', expected a number"):
        plot_rows.number({"layer": "3"}, "layer")


@pytest.mark.parametrize("value", [None, 1.5, "1"])
def test_a_whole_number_is_neither_missing_nor_a_fraction_nor_a_text(value):
    assert plot_rows.integer({"layer": 3}, "layer") == 3
    with pytest.raises(TypeError, match="'layer' holds"):
        plot_rows.integer({"layer": value}, "layer")
