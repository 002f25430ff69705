"""Areas under curves: theorems about orders, and intervals that cover what they should."""

import numpy as np
import pytest

from stages.lib.stats import auc
from tests.intervals import ends

SIZES = [0, 1, 2, 4, 8, 10]
N_HEADS = 10


def adding(order, effects, n_statements=6):
    """p_correct of statements that are all alike, where the heads' gains add up."""
    total = np.array([0.1 + effects[order[:k]].sum() for k in SIZES])
    return np.repeat(total[:, None], n_statements, axis=1)[None]


def recovered(order, effects):
    return (adding(order, effects)[0, :, 0] - 0.1) / effects.sum()


GAINS = np.array([0.3, 0.2, 0.1, 0.05, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0])
BEST = np.arange(N_HEADS)


def test_a_perfect_order_has_the_greatest_area_and_its_reverse_the_least():
    generator = np.random.default_rng(0)
    best, worst = (auc.measures(recovered(o, GAINS), SIZES) for o in (BEST, BEST[::-1]))
    for _ in range(200):
        result = auc.measures(recovered(generator.permutation(N_HEADS), GAINS), SIZES)
        for name in ("auc", "auc_log"):
            assert worst[name] <= result[name] <= best[name]
        assert best["distance"] <= result["distance"] <= worst["distance"]
    assert worst["auc"] < 0.5 < best["auc"]


def test_one_head_that_is_everything_and_comes_first_or_last():
    first = auc.measures(np.array([0.0, 1, 1, 1, 1, 1]), SIZES)
    assert first["auc"] == pytest.approx(1 - 0.5 / N_HEADS)  # the way up to the first head
    assert first["distance"] == pytest.approx(0.5 / N_HEADS)
    assert first["auc_log"] == pytest.approx(1)
    last = auc.measures(np.array([0.0, 0, 0, 0, 0, 1]), SIZES)
    assert last["auc"] == pytest.approx(0.5 * 2 / N_HEADS)
    assert last["auc_log"] == pytest.approx(0.5 * np.log(10 / 8) / np.log(10))


def test_a_straight_line_has_half_the_area_whatever_the_sizes():
    assert auc.measures(np.array(SIZES) / N_HEADS, SIZES)["auc"] == pytest.approx(0.5)
    assert auc.measures(np.array([0, 1.0]), [0, N_HEADS])["auc"] == pytest.approx(0.5)


def test_a_curve_that_overshoots_has_more_area_and_also_more_distance():
    over = auc.measures(np.array([0.0, 1, 1.5, 1.5, 1, 1]), SIZES)
    flat = auc.measures(np.array([0.0, 1, 1, 1, 1, 1]), SIZES)
    assert over["auc"] > flat["auc"]
    assert over["distance"] > flat["distance"]


def test_a_model_with_one_head():
    assert auc.measures(np.array([0.0, 1.0]), [0, 1])["auc_log"] == 1


def noisy(generator, n_subjects):
    """p_correct of two rules whose population areas are known: subjects shift every run alike."""
    subject = np.repeat(np.arange(n_subjects), 2)
    shift = generator.uniform(0.5, 1.5, n_subjects)[subject]
    runs = {}
    for rule, order in (("single", BEST), ("reversed", BEST[::-1])):
        noise = generator.normal(0, 0.05, (len(SIZES), len(subject)))
        noise[[0, -1]] = 0
        effect = (adding(order, GAINS, 1)[0] - 0.1) * shift
        runs[rule] = (0.1 + effect + noise)[None]
    none = runs["single"][0, 0]
    return runs, none, runs["single"][0, -1], subject


def score(curves, none, every, subject):
    return auc.score(curves, none, every, subject, SIZES, baseline="single")


def test_intervals_cover_the_area_and_the_difference():
    generator = np.random.default_rng(0)
    p_correct = {
        rule: auc.measures(recovered(order, GAINS), SIZES)["auc"]
        for rule, order in (("single", BEST), ("reversed", BEST[::-1]))
    }
    covered = []
    for _ in range(100):
        result = score(*noisy(generator, 25))
        value, gap = result["reversed"]["value"]["auc"], result["reversed"]["difference"]["auc"]
        (middle, low, high), (_, least, most) = ends(value), ends(gap)
        covered.append(
            (
                low <= p_correct["reversed"] <= high,
                least <= p_correct["reversed"] - p_correct["single"] <= most,
            )
        )
        assert value.n == 50
        assert gap.value == pytest.approx(middle - ends(result["single"]["value"]["auc"])[0])
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
    result = score(runs | {"random": both}, none, every, subject)
    mean = np.mean([ends(result[rule]["value"]["auc"])[0] for rule in ("single", "reversed")])
    assert result["random"]["value"]["auc"].value == pytest.approx(mean)


def test_without_the_rule_to_compare_with_there_are_no_differences():
    runs, none, every, subject = noisy(np.random.default_rng(0), 10)
    result = score({"random": runs["reversed"]}, none, every, subject)
    assert set(result["random"]) == {"value"}


@pytest.mark.parametrize("effect", [0.0, -0.3, 1e-4])
def test_nothing_gained_gives_nulls(effect):
    """1e-4 beside noise of 0.1: what cannot be told from nothing is not divided by."""
    generator = np.random.default_rng(0)
    none = generator.uniform(0.4, 0.6, 20)
    every = none + effect + (generator.normal(0, 0.1, 20) if effect > 0 else 0)
    curve = np.repeat(none[None, None], len(SIZES), axis=1)
    result = score({"single": curve, "x": curve}, none, every, np.arange(20))
    for kind in result["x"].values():
        for interval in kind.values():
            assert (interval.value, interval.low, interval.high, interval.n) == (None,) * 3 + (20,)


def test_no_statements_give_nulls():
    nothing = np.empty((1, len(SIZES), 0))
    result = score({"single": nothing}, np.empty(0), np.empty(0), np.empty(0, str))
    assert result["single"]["value"]["auc"].value is None
    assert result["single"]["value"]["auc"].n == 0
