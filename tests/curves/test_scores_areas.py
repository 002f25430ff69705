"""Areas under curves: theorems about orders, and intervals that cover what they should."""

import numpy as np
import pytest

from stages.curves import scores_areas as areas
from tests.intervals import ends

SIZES = [0, 1, 2, 4, 8, 10]
N_HEADS = 10


def adding(order, gains, n_statements=6):
    """Truth of statements that are all alike, where the heads' gains add up."""
    total = np.array([0.1 + gains[order[:k]].sum() for k in SIZES])
    return np.repeat(total[:, None], n_statements, axis=1)[None]


def kept(order, gains):
    return (adding(order, gains)[0, :, 0] - 0.1) / gains.sum()


GAINS = np.array([0.3, 0.2, 0.1, 0.05, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0])
BEST = np.arange(N_HEADS)


def test_a_perfect_order_has_the_greatest_area_and_its_reverse_the_least():
    generator = np.random.default_rng(0)
    best, worst = (areas.measures(kept(o, GAINS), SIZES) for o in (BEST, BEST[::-1]))
    for _ in range(200):
        found = areas.measures(kept(generator.permutation(N_HEADS), GAINS), SIZES)
        for name in ("area", "area_log"):
            assert worst[name] <= found[name] <= best[name]
        assert best["distance"] <= found["distance"] <= worst["distance"]
    assert worst["area"] < 0.5 < best["area"]


def test_one_head_that_is_everything_and_comes_first_or_last():
    first = areas.measures(np.array([0.0, 1, 1, 1, 1, 1]), SIZES)
    assert first["area"] == pytest.approx(1 - 0.5 / N_HEADS)  # the way up to the first head
    assert first["distance"] == pytest.approx(0.5 / N_HEADS)
    assert first["area_log"] == pytest.approx(1)
    last = areas.measures(np.array([0.0, 0, 0, 0, 0, 1]), SIZES)
    assert last["area"] == pytest.approx(0.5 * 2 / N_HEADS)
    assert last["area_log"] == pytest.approx(0.5 * np.log(10 / 8) / np.log(10))


def test_a_straight_line_has_half_the_area_whatever_the_sizes():
    assert areas.measures(np.array(SIZES) / N_HEADS, SIZES)["area"] == pytest.approx(0.5)
    assert areas.measures(np.array([0, 1.0]), [0, N_HEADS])["area"] == pytest.approx(0.5)


def test_a_curve_that_overshoots_has_more_area_and_also_more_distance():
    over = areas.measures(np.array([0.0, 1, 1.5, 1.5, 1, 1]), SIZES)
    flat = areas.measures(np.array([0.0, 1, 1, 1, 1, 1]), SIZES)
    assert over["area"] > flat["area"]
    assert over["distance"] > flat["distance"]


def test_a_model_with_one_head():
    assert areas.measures(np.array([0.0, 1.0]), [0, 1])["area_log"] == 1


def noisy(generator, n_subjects):
    """Truth of two rules whose population areas are known: subjects shift every run alike."""
    subject = np.repeat(np.arange(n_subjects), 2)
    shift = generator.uniform(0.5, 1.5, n_subjects)[subject]
    runs = {}
    for rule, order in (("single", BEST), ("reversed", BEST[::-1])):
        noise = generator.normal(0, 0.05, (len(SIZES), len(subject)))
        noise[[0, -1]] = 0
        gain = (adding(order, GAINS, 1)[0] - 0.1) * shift
        runs[rule] = (0.1 + gain + noise)[None]
    none = runs["single"][0, 0]
    return runs, none, runs["single"][0, -1], subject


def score(curves, none, every, subject):
    return areas.score(curves, none, every, subject, SIZES, against="single")


def test_intervals_cover_the_area_and_the_difference():
    generator = np.random.default_rng(0)
    truth = {
        rule: areas.measures(kept(order, GAINS), SIZES)["area"]
        for rule, order in (("single", BEST), ("reversed", BEST[::-1]))
    }
    covered = []
    for _ in range(100):
        found = score(*noisy(generator, 25))
        value, gap = found["reversed"]["value"]["area"], found["reversed"]["difference"]["area"]
        (middle, low, high), (_, least, most) = ends(value), ends(gap)
        covered.append(
            (
                low <= truth["reversed"] <= high,
                least <= truth["reversed"] - truth["single"] <= most,
            )
        )
        assert value.n == 50
        assert gap.value == pytest.approx(middle - ends(found["single"]["value"]["area"])[0])
    assert (np.mean(covered, axis=0) >= 0.88).all()  # 95 expected of 100; 88 or fewer: p = 0.004


def test_equal_curves_differ_by_exactly_nothing():
    runs, none, every, subject = noisy(np.random.default_rng(0), 10)
    gap = score(runs | {"same": runs["single"]}, none, every, subject)["same"]["difference"]
    for interval in gap.values():
        assert (interval.value, interval.low, interval.high) == (0, 0, 0)
    assert "difference" not in score(runs, none, every, subject)["single"]


def test_several_orders_of_one_rule_are_averaged():
    runs, none, every, subject = noisy(np.random.default_rng(0), 10)
    both = np.concatenate([runs["single"], runs["reversed"]])
    found = score(runs | {"random": both}, none, every, subject)
    mean = np.mean([ends(found[rule]["value"]["area"])[0] for rule in ("single", "reversed")])
    assert found["random"]["value"]["area"].value == pytest.approx(mean)


def test_without_the_rule_to_compare_with_there_are_no_differences():
    runs, none, every, subject = noisy(np.random.default_rng(0), 10)
    found = score({"random": runs["reversed"]}, none, every, subject)
    assert set(found["random"]) == {"value"}


@pytest.mark.parametrize("gain", [0.0, -0.3, 1e-4])
def test_nothing_gained_gives_nulls(gain):
    """1e-4 beside noise of 0.1: what cannot be told from nothing is not divided by."""
    generator = np.random.default_rng(0)
    none = generator.uniform(0.4, 0.6, 20)
    every = none + gain + (generator.normal(0, 0.1, 20) if gain > 0 else 0)
    curve = np.repeat(none[None, None], len(SIZES), axis=1)
    found = score({"single": curve, "x": curve}, none, every, np.arange(20))
    for kind in found["x"].values():
        for interval in kind.values():
            assert (interval.value, interval.low, interval.high, interval.n) == (None,) * 3 + (20,)


def test_no_statements_give_nulls():
    nothing = np.empty((1, len(SIZES), 0))
    found = score({"single": nothing}, np.empty(0), np.empty(0), np.empty(0, str))
    assert found["single"]["value"]["area"].value is None
    assert found["single"]["value"]["area"].n == 0
