"""Heatmaps: every value in its cell, and 0 in the middle of the colours."""

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from stages.lib.drawing import heat


@pytest.mark.parametrize(
    ("values", "peak"), [([0.2, -0.5, None], 0.5), ([0.0], 1.0), ([None, None], 1.0), ([], 1.0)]
)
def test_limits_are_symmetric_and_hold_every_value(values, peak):
    assert heat.around_zero(pl.Series(values, dtype=pl.Float64)) == (-peak, peak)


def test_each_value_is_in_the_cell_of_its_names_and_the_others_have_none():
    rows = pl.DataFrame({"y": ["a", "b", "b"], "x": [1, 1, 2], "v": [0.1, 0.2, None]})
    sides = ("y", ["b", "a"]), ("x", [1, 2])
    cells = heat.matrix(Figure().subplots(), rows, "v", *sides, (0.0, 1.0))
    np.testing.assert_array_equal(cells, [[0.2, np.nan], [0.1, np.nan]])


def test_layers_go_up():
    ax = Figure().subplots()
    rows = pl.DataFrame({"layer": [3, 4], "head": [0, 0], "v": [0.1, 0.2]})
    heat.heads(ax, rows, "v", (0.0, 1.0))
    assert ax.get_ylim() == (0.0, 2.0)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["3", "4"]
