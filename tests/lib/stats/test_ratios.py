import numpy as np
import pytest

from stages.lib.patching import layer_window
from stages.lib.patching.layer_window import Window
from stages.lib.patching.patch import Head
from stages.lib.stats import NOTHING, ratios, shares
from tests.intervals import ends, there

SUBJECT = np.repeat(np.arange(20), 2)


def test_ratios_are_of_means_and_parts_of_a_sum_add_up_in_every_draw():
    random = np.random.default_rng(0)
    whole = random.uniform(0.5, 1.0, 40)
    first = whole * random.uniform(0.1, 0.9, 40)
    result = ratios.ratios(np.stack([first, whole - first, whole / 4]), whole, SUBJECT)
    assert result[0].value == pytest.approx(first.mean() / whole.mean())
    value, low, high = ends(result[0])
    assert low == pytest.approx(1 - there(result[1].high))
    assert low < value < high
    assert (result[2].low, result[2].high) == (pytest.approx(0.25), pytest.approx(0.25))
    assert {one.n for one in result} == {40}


def test_a_fraction_is_recovered_only_where_the_gap_lies_above_the_least():
    random = np.random.default_rng(1)
    gap = random.uniform(0.2, 0.6, 40)
    gains = np.stack([gap / 2, gap])
    half, full = ratios.recovered(gains, gap, SUBJECT)
    assert (half.value, full.value) == (pytest.approx(0.5), pytest.approx(1.0))
    assert ratios.recovered(gains, gap, SUBJECT, least=0.3) == ratios.ratios(gains, gap, SUBJECT)
    assert ratios.recovered(gains, gap, SUBJECT, least=0.5) == [NOTHING] * 2
    assert ratios.recovered(gains, -gap, SUBJECT) == [NOTHING] * 2
    assert ratios.recovered(gains, np.zeros(40), SUBJECT) == [NOTHING] * 2


def test_a_share_of_one_probe_has_width_at_its_ends_and_one_of_several_has_none():
    assert there(shares.right(np.ones(40, bool), SUBJECT).low) < 1
    several = shares.right(np.full(40, 0.5), SUBJECT)
    assert (several.value, several.low, several.high) == (0.5, 0.5, 0.5)


def test_where_a_share_is_missing_nothing_is_said():
    assert shares.right([0.0, np.nan], np.arange(2)) == NOTHING
    assert shares.right([], np.array([])) == NOTHING


def test_a_window_spans_its_heads_and_without_heads_there_is_none():
    assert layer_window.of([Head(3, 1), Head(2, 7), Head(5, 0)]) == Window(2, 5)
    assert layer_window.of([]) is None
