"""The best window's layers, and the window of other sizes that is nearest to it."""

import pytest

from stages.lib.patching import best_window
from stages.lib.patching.layer_window import Window


def test_layers_of_a_window_have_both_ends():
    assert Window(2, 4).layers == range(2, 5)
    assert Window(2, 4).columns == {"first_layer": 2, "last_layer": 4}


@pytest.mark.parametrize(
    ("best", "expected"),
    [
        (range(22, 27), range(20, 25)),  # of its size, with most layers in common
        (range(23, 28), range(25, 30)),
        (range(12, 13), range(10, 15)),  # no window has one layer: one of the smallest
        (range(30, 31), range(5)),  # no layer in common: the lowest
        (range(20, 29), range(20, 30)),
    ],
)
def test_the_nearest_window_is_nearest_in_size_and_then_in_place(best, expected):
    candidates = [range(i, i + 5) for i in range(0, 30, 5)] + [range(i, i + 10) for i in (0, 20)]
    assert best_window.nearest(candidates, best) == expected
    assert best_window.nearest(candidates[::-1], best) == expected
