"""Intervals hold the p_correct as often as they say, with the subjects counted and not the rows."""

import numpy as np
import pytest

from stages.lib import stats
from stages.lib.io import tables
from stages.lib.stats import Interval
from tests.intervals import ends, span, there

TRIALS = 1000  # the share of 1,000 intervals that hold the p_correct is known to ± 0.7 %


def draw(rng, n, n_subjects, p, correlation):
    """Answers of rate p whose subjects differ: beta-binomial with a correlation within each."""
    subject = np.arange(n) % n_subjects
    if correlation == 0:
        return rng.random(n) < p, subject
    spread = (1 - correlation) / correlation
    rates = rng.beta(p * spread, (1 - p) * spread, size=n_subjects)
    return rng.random(n) < rates[subject], subject


def coverage(interval, p, n, n_subjects, correlation, clustered=True):
    """Share of intervals that hold the rate; p varies a little, as Wilson's own coverage does."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(TRIALS):
        p_correct = p + rng.uniform(-0.03, 0.03)
        correct, subject = draw(rng, n, n_subjects, p_correct, correlation)
        result = interval(correct, subject if clustered else np.arange(n))
        held += result.low <= p_correct <= result.high
    return held / TRIALS


@pytest.mark.parametrize("p", [0.5, 0.8, 0.95])
@pytest.mark.parametrize(
    ("n", "n_subjects", "correlation"), [(40, 40, 0), (200, 200, 0), (80, 20, 0.3), (200, 50, 0.3)]
)
def test_rate_holds_the_truth_95_times_in_100(p, n, n_subjects, correlation):
    assert 0.93 <= coverage(stats.rate, p, n, n_subjects, correlation) <= 0.97


@pytest.mark.parametrize("p", [0.5, 0.8])
def test_rate_without_subjects_misses_the_truth_too_often(p):
    assert coverage(stats.rate, p, 80, 20, 0.6, clustered=False) < 0.85


def test_rate_of_independent_rows_in_subjects_is_at_most_a_little_wide():
    # the design effect is estimated and never taken below 1, so it errs on the wide side
    assert 0.95 <= coverage(stats.rate, 0.8, 80, 20, 0) <= 0.985


def uniform(rng, n, n_subjects, correlation):
    """Values around 0.5 in [0, 1] that share a split within their subject."""
    subject = np.arange(n) % n_subjects
    shared, own = rng.uniform(-0.5, 0.5, n_subjects), rng.uniform(-0.5, 0.5, n)
    return 0.5 + correlation * shared[subject] + (1 - correlation) * own, subject


def coverage_of_means(correlation, clustered, trials):
    """Shares of intervals of a mean and of a paired difference that hold the p_correct."""
    rng = np.random.default_rng(2)
    held = np.zeros(2)
    for _ in range(trials):
        a, subject = uniform(rng, 90, 30, correlation)
        b, _ = uniform(rng, 90, 30, correlation)
        subject = subject if clustered else np.arange(90)
        _, low, high = ends(stats.mean(a, subject))
        _, least, most = ends(stats.difference(a, b, subject))
        held += low <= 0.5 <= high, least <= 0 <= most
    return held / trials


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_mean_and_difference_hold_the_truth_95_times_in_100(correlation):
    mean, difference = coverage_of_means(correlation, clustered=True, trials=600)
    assert 0.93 <= mean <= 0.97
    assert 0.93 <= difference <= 0.97


def test_mean_and_difference_without_subjects_miss_it_too_often():
    mean, difference = coverage_of_means(0.5, clustered=False, trials=200)
    assert mean < 0.88
    assert difference < 0.88


def test_rate_of_independent_rows_is_wilsons():
    correct = np.arange(100) < 80
    result = stats.rate(correct, np.arange(100))
    t = 1.9842169515  # Student's, 99 degrees of freedom
    ends = np.array([result.low, result.high])
    # Wilson's ends are the rates whose own standard error puts them t away from 0.8
    assert np.abs(0.8 - ends) / np.sqrt(ends * (1 - ends) / 100) == pytest.approx(t, abs=1e-6)
    assert result.value == 0.8
    assert result.n == 100


def test_rate_counts_repeated_rows_once():
    correct = np.random.default_rng(0).random(60) < 0.7
    once = stats.rate(correct, np.arange(60))
    twice = stats.rate(np.tile(correct, 2), np.tile(np.arange(60), 2))
    # v is the same; p (1 - p) / (n - 1) is not quite half
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high), abs=2e-3)
    naive = stats.rate(np.tile(correct, 2), np.arange(120))
    assert span(naive) < 0.8 * span(once)


@pytest.mark.parametrize("value", [0, 1])
def test_rate_at_its_ends_has_width_and_grows_with_subjects_only(value):
    def width(n, n_subjects):
        result = stats.rate(np.full(n, value), np.arange(n) % n_subjects)
        assert result.value == value
        assert value in (result.low, result.high)
        return span(result)

    assert 0.05 < width(40, 40) < 0.12
    assert width(400, 40) == width(40, 40)
    assert width(40, 20) > width(40, 40)


@pytest.mark.parametrize(("a", "b", "value"), [(0.5, 0.5, 0), (1, 0.5, 0.5), (0.25, 1, -0.75)])
def test_a_difference_that_all_statements_share_has_the_width_of_a_rate_at_its_end(a, b, value):
    """Its draws agree, and a bootstrap alone would be sure at any number of subjects."""

    def of(n, n_subjects):
        subject = np.arange(n) % n_subjects
        return stats.difference(np.full(n, float(a)), np.full(n, float(b)), subject)

    result, unseen = of(40, 40), there(stats.rate(np.zeros(40), np.arange(40)).high)
    assert result.value == value
    assert there(result.low) == pytest.approx(value - unseen * (value + 1))
    assert there(result.high) == pytest.approx(value + unseen * (1 - value))
    assert of(400, 40) == Interval(value, result.low, result.high, 400)
    assert span(of(40, 20)) > span(of(400, 80)) * 2


@pytest.mark.parametrize("b", [(0.25, 0.75), (0.5, 0.5)])
def test_subjects_with_one_mean_difference_are_as_alike_as_statements_with_one(b):
    """The halves of each subject's statements differ, and the draws agree."""
    subject, p_correct = np.repeat(np.arange(20), 2), np.tile([1.0, 0.5], 20)
    result = stats.difference(p_correct, np.tile(b, 20), subject)
    unseen, value = there(stats.rate(np.zeros(20), np.arange(20)).high), 0.75 - sum(b) / 2
    assert result.value == value
    assert there(result.low) == pytest.approx(value - unseen * (1 + value))
    assert there(result.high) == pytest.approx(value + unseen * (1 - value))


@pytest.mark.parametrize("n_subjects", [6, 53])
def test_answers_that_never_differ_have_the_ends_of_the_rate_of_none(n_subjects):
    subject, right = np.repeat(np.arange(n_subjects), 4), np.ones(4 * n_subjects)
    unseen = there(stats.rate(0 * right, subject).high)
    result = stats.difference(right, right, subject)
    assert ends(result) == pytest.approx((0, -unseen, unseen))
    above = stats.difference(right, 0 * right, subject)
    assert ends(above) == pytest.approx((1, 1 - np.hypot(unseen, unseen), 1))


def test_one_answer_that_differs_makes_runs_no_more_alike():
    """A bootstrap has no width where nothing differs, and little where little does."""
    subject, right = np.repeat(np.arange(53), 4), np.ones(212)
    same = stats.difference(right, right, subject)
    for n_wrong in (1, 2):
        other = right.copy()
        other[:n_wrong] = 0
        result = stats.difference(right, other, subject)
        assert span(result) > 0.6 * span(same)
        assert there(result.high) > 0
        back = stats.difference(other, right, subject)
        _, low, high = ends(result)
        assert (back.low, back.high) == pytest.approx((-high, -low))


@pytest.mark.parametrize("only", [(0.06, 0.0), (0.03, 0.01), (0.3, 0.1), (0.9, 0.02)])
@pytest.mark.parametrize(("n_subjects", "per_subject"), [(53, 4), (20, 2)])
def test_difference_of_answers_holds_the_truth_95_times_in_100(only, n_subjects, per_subject):
    """Half of the subjects have one answer for all of their statements."""
    rng, subject = np.random.default_rng(0), np.repeat(np.arange(n_subjects), per_subject)
    held, trials = 0, 400
    for _ in range(trials):
        is_one = rng.random(n_subjects)[subject] < 0.5
        place = np.where(is_one, rng.random(n_subjects)[subject], rng.random(len(subject)))
        answers = place < only[0], place > 1 - only[1]
        _, low, high = ends(stats.difference(*answers, subject))
        held += low <= only[0] - only[1] <= high
    assert held >= 0.93 * trials


def test_differences_by_chance_alike_in_a_sample_hold_the_truth():
    """Of two runs that differ on a tenth of the subjects, few samples show any difference."""
    rng = np.random.default_rng(6)
    held = 0
    for _ in range(400):
        a = rng.random(8) < 0.1
        _, low, high = ends(stats.difference(a, np.zeros(8), np.arange(8)))
        held += low <= 0.1 <= high
    assert held >= 0.93 * 400


@pytest.mark.parametrize("n_subjects", [1, 2, 5])
def test_few_subjects_give_no_interval(n_subjects):
    """All draws lie between the smallest and the largest of them, which rarely hold the truth."""
    values, subject = np.array([-3.0, 5.0] * 5), np.arange(10) % n_subjects
    assert stats.mean_difference(values, subject) == Interval(1, None, None, 10)
    bounded = stats.difference(np.array([0.0, 1.0] * 5), np.zeros(10), subject)
    assert bounded == Interval(0.5, -1, 1, 10)
    assert span(stats.mean_difference(values, np.arange(10) % stats.FEWEST)) > 0


def test_nothing_gives_none():
    nothing = Interval(None, None, None, 0)
    assert stats.rate([], []) == nothing
    assert stats.mean([], []) == nothing
    assert stats.difference([], [], []) == nothing
    assert nothing.row() == {"value": None, "low": None, "high": None, "n": 0}


def test_one_statement_and_one_subject_say_nothing_of_others():
    assert stats.rate([True], ["France"]) == Interval(1, 0, 1, 1)
    assert stats.rate([True, False], ["France"] * 2) == Interval(0.5, 0, 1, 2)
    assert stats.mean([0.25], ["France"]) == Interval(0.25, 0, 1, 1)
    assert stats.difference([0.75], [0.5], ["France"]) == Interval(0.25, -1, 1, 1)


def test_order_of_rows_and_names_of_subjects_do_not_matter_to_the_bit():
    rng = np.random.default_rng(3)
    values, others = rng.random(90), rng.random(90)
    subject = rng.integers(0, 30, 90)
    order = rng.permutation(90)
    names = np.array([f"subject {i:02d}" for i in subject], dtype=object)
    moved = values[order], others[order], names[order]
    assert stats.rate(values > 0.3, subject) == stats.rate(moved[0] > 0.3, moved[2])
    assert stats.mean(values, subject) == stats.mean(moved[0], moved[2])
    assert stats.difference(values, others, subject) == stats.difference(*moved)


def test_difference_is_paired_and_its_seed_moves_the_ends_only_a_little():
    rng = np.random.default_rng(4)
    a = rng.random(100)
    b = np.clip(a - 0.1 + rng.normal(0, 0.01, 100), 0, 1)
    subject = np.arange(100) % 50
    paired = stats.difference(a, b, subject)
    assert span(paired) < 0.01
    unpaired = stats.difference(a, rng.permutation(b), subject)
    assert span(unpaired) > 0.1
    reseeded = stats.difference(a, b, subject, seed=1)
    assert reseeded != paired
    assert (reseeded.low, reseeded.high) == pytest.approx((paired.low, paired.high), abs=1e-3)


def test_mean_stays_in_its_bounds_and_takes_float32_rounding():
    result = stats.mean(np.array([1.0000001, 0.4, 1.0], np.float32), list("abc"))
    assert (result.low, result.high) == (0, 1)
    wide = stats.mean([-0.5, 0.5], list("ab"), bounds=(-1, 1))
    assert (wide.low, wide.value, wide.high) == (-1, 0, 1)


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="only true and false"):
        stats.rate([0.5], ["a"])
    with pytest.raises(ValueError, match="one length"):
        stats.rate([True, False], ["a"])
    with pytest.raises(ValueError, match="outside"):
        stats.mean([1.5], ["a"])
    with pytest.raises(ValueError, match="differ"):
        stats.difference([1.0], [1.0, 0.0], ["a"])
    with pytest.raises(ValueError, match="mean_difference"):
        stats.difference([2.0], [1.0], ["a"])


def test_row_names_its_value():
    row = stats.rate([True, False], ["a", "b"]).row("accuracy")
    assert list(row) == ["accuracy", "low", "high", "n"]
    assert row["accuracy"] == 0.5


def test_a_share_of_draws_is_exact():
    """Clopper and Pearson: none of 20 leaves 1 - 0.025 ** (1 / 20); 1 of 10 as in tables."""
    none = stats.proportion(0, 20)
    assert (none.low, none.n) == (0.0, 20)
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 20))
    one = stats.proportion(1, 10)
    assert (one.low, one.high) == pytest.approx((0.0025286, 0.4450161), abs=1e-6)
    assert stats.proportion(20, 20).low == pytest.approx(0.025 ** (1 / 20))
    assert stats.proportion(20, 20).high == 1.0
    assert stats.proportion(0, 0) == stats.NOTHING


def old_mean(values, subject):
    """The mean and the half of its interval by the formula, one number per statement."""
    names = np.unique(subject)
    n, g = len(values), len(names)
    value = values.mean()
    squares = sum((values[subject == name] - value).sum() ** 2 for name in names)
    return value, stats.student(g) * np.sqrt(g / (g - 1) * squares / n**2)


@pytest.mark.parametrize("seed", range(20))
def test_many_means_at_a_time_are_those_of_one_at_a_time_to_six_digits(seed):
    random = np.random.default_rng(seed)
    n = int(random.integers(3, 60))
    subject = random.permutation(np.append([0, 1], random.integers(0, 8, n - 2)))
    values = random.normal(random.normal(), 10.0 ** random.integers(-3, 2), (n, 3, 2))
    value, half = stats.means(values, subject)
    assert value.shape == half.shape == (3, 2)
    for place in np.ndindex(3, 2):
        column = values[:, *place]
        one = stats.mean(column, subject, (-1e9, 1e9))
        result = (value[place], value[place] - half[place], value[place] + half[place])
        assert tables.rounded(result) == tables.rounded((one.value, one.low, one.high))
        old_value, old_half = old_mean(column, subject)
        old = (old_value, old_value - old_half, old_value + old_half)
        assert tables.rounded(result) == tables.rounded(old)


def test_many_means_of_one_subject_have_no_interval():
    value, half = stats.means(np.array([[1.0, 2.0], [3.0, 2.0]]), np.zeros(2))
    np.testing.assert_array_equal(value, [2.0, 2.0])
    np.testing.assert_array_equal(half, [np.nan, np.nan])


def test_a_subject_that_is_drawn_twice_counts_as_two():
    sums, counts = np.array([[1.0, 5.0, 2.0]]), np.array([1.0, 2.0, 1.0])
    times = np.array([2, 1, 0])
    weighted = sums - counts * ((sums @ times) / (counts @ times))
    variance = stats.cluster_variance(np.square(weighted) @ times, 3, counts @ times)
    result = stats.half_width(np.repeat(sums, times, axis=1), np.repeat(counts, times))
    np.testing.assert_allclose(result, stats.student(3) * np.sqrt(variance))


def test_percentiles_hold_the_level_of_the_draws():
    draws = np.random.default_rng(0).permutation(np.linspace(0, 1, 1001))
    assert stats.percentiles(draws) == (pytest.approx(0.025), pytest.approx(0.975))


@pytest.mark.parametrize(
    ("interval", "above", "excludes"),
    [
        (Interval(0.5, 0.1, 0.9, 3), True, True),
        (Interval(0.5, 0.0, 0.9, 3), False, False),
        (Interval(0.0, -0.1, 0.1, 3), False, False),
        (Interval(-0.5, -0.9, -0.1, 3), False, True),
        (stats.NOTHING, False, False),
    ],
)
def test_an_interval_is_above_a_value_or_excludes_it(interval, above, excludes):
    assert (interval.is_above(0), interval.excludes(0)) == (above, excludes)
