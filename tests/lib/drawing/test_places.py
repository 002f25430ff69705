"""Series side by side at names along the x axis."""

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from stages.lib.drawing import places

ROWS = pl.DataFrame({"run": ["a", "b", "a", "b"], "topic": ["s", "s", "t", "t"], "y": [1, 2, 3, 4]})


def test_series_stand_side_by_side_around_each_place():
    result = list(places.dodged(ROWS, "run", ["b", "a", "none"], "topic", {"s": 0.0, "t": 2.0}))
    assert [name for name, *_ in result] == ["b", "a", "none"]
    assert [own["y"].to_list() for *_, own in result] == [[2, 4], [1, 3], []]
    np.testing.assert_allclose(result[0][1], [-0.15, 1.85])
    np.testing.assert_allclose(result[1][1], [0.0, 2.0])
    assert len(result[2][1]) == 0


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_series_of_one_place_reach_no_other(n):
    rows = pl.DataFrame({"run": [str(i) for i in range(n)], "topic": ["s"] * n})
    at = [float(at[0]) for _, at, _ in places.dodged(rows, "run", rows["run"], "topic", {"s": 3.0})]
    assert np.mean(at) == pytest.approx(3)
    assert at == sorted(at)
    assert max(at) - min(at) < 0.75


def test_splits_are_labelled_with_their_n_and_all_is_set_apart():
    ax = Figure().subplots()
    rows = pl.DataFrame({"topic": ["s", "t", "all", "s"], "n": [3, 4, 7, 2]})
    assert places.topics(ax, rows) == {"s": 0.0, "t": 1.0, "all": 2.5}
    assert [text.get_text() for text in ax.get_xticklabels()] == ["s (3)", "t (4)", "all (7)"]
