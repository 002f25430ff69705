"""Every kind of 95 % interval holds the p_correct 93 to 97 times in 100, at the sizes of the default run."""

from functools import cache

import numpy as np
import pytest

from stages.lib import stats
from stages.lib.stats import bootstrap

TRIALS = 2000  # a share of 0.95 is known to ± 0.5 %: bounds are widened by two of these
NOISE = 0.01
# Statements by subject: known ones of a default report split (223, unequal), a sweep's, a small one.
SIZES = {
    "split": np.repeat([1, 2, 3, 4, 8, 10, 12], [6, 19, 1, 17, 2, 2, 6]),
    "sweep": np.repeat([1, 2, 3, 4], [19, 7, 6, 2]),
    "small": np.ones(16, int),
}
MIDDLE, END = (0.05, 0.95), (0.95, 1.0)
# Of a default run's answers within subjects: 0.2 to 0.3 (analysis of variance, rates above 0.9).
CORRELATIONS = (0.0, 0.1, 0.3)


def draw(rng, sizes, rates, correlation):
    """Answers (n_trials, n_statements): beta-binomial, alike within a subject; and its numbers."""
    n = len(rates), len(sizes)
    of_subject = np.repeat(rates[:, None], n[1], axis=1)
    if correlation:
        spread = (1 - correlation) / correlation
        of_subject = rng.beta(rates[:, None] * spread, (1 - rates[:, None]) * spread, n)
    subject = np.repeat(np.arange(n[1]), sizes)
    return rng.random((n[0], len(subject))) < of_subject[:, subject], subject


def held(result, p_correct):
    """Share of intervals with the p_correct inside."""
    low, high = np.transpose(result)
    return float(((low <= p_correct) & (p_correct <= high)).mean())


def rate_coverage(sizes, between, correlation, seed=0):
    rng = np.random.default_rng(seed)
    low, high = between
    rates = rng.uniform(low, high, TRIALS)
    answers, subject = draw(rng, sizes, rates, correlation)
    result = [stats.rate(row, subject) for row in answers]
    return held([(one.low, one.high) for one in result], rates)


@pytest.mark.parametrize("correlation", CORRELATIONS)
@pytest.mark.parametrize("name", SIZES)
def test_rate(name, correlation):
    assert 0.93 - NOISE <= rate_coverage(SIZES[name], MIDDLE, correlation) <= 0.97 + NOISE


@pytest.mark.parametrize("correlation", CORRELATIONS)
@pytest.mark.parametrize("name", ["sweep", "small"])
def test_rate_near_one_is_wide_rather_than_narrow(name, correlation):
    """Where most samples have no error at all, coverage cannot be 95 %: from above 93 % to 100 %."""
    assert 0.93 - NOISE <= rate_coverage(SIZES[name], END, correlation) <= 1


@pytest.mark.parametrize("correlation", CORRELATIONS)
@pytest.mark.parametrize("rate", [0.05, 0.95])
def test_rate_where_few_large_subjects_hold_the_errors(rate, correlation):
    """Subjects of 1 to 12 statements that are alike: often no large one is among the errors."""
    share = rate_coverage(SIZES["split"], (rate, rate), correlation)
    assert 0.93 - NOISE <= share <= 0.97 + NOISE


@pytest.mark.parametrize("rate", [0.05, 0.95])
def test_the_sample_alone_would_not_know_the_design_effect_there(rate, monkeypatch):
    """The opposite: without the two subjects that `rate` adds."""

    def of_sample(sums, counts):
        n, p = counts.sum(), sums.sum() / counts.sum()
        return stats._variance(sums, counts) / (p * (1 - p) / (n - 1))

    monkeypatch.setattr(stats, "_design_effect", of_sample)
    assert rate_coverage(SIZES["split"], (rate, rate), 0.3) < 0.93


def truth_of(answers, rng):
    """Probabilities of the right answer that are sure: near 0 or 1, as a model's are."""
    return np.where(answers, 0.97, 0.03) + rng.uniform(-0.03, 0.03, answers.shape)


@pytest.mark.parametrize("correlation", CORRELATIONS)
@pytest.mark.parametrize("name", SIZES)
def test_mean(name, correlation):
    """Of values that are nearly 0 or 1, the least favourable: Student's t knows no such bounds."""
    rng = np.random.default_rng(1)
    rates = rng.uniform(0.2, 0.8, TRIALS)
    answers, subject = draw(rng, SIZES[name], rates, correlation)
    result = [stats.mean(row, subject) for row in truth_of(answers, rng)]
    share = held([(one.low, one.high) for one in result], 0.03 + 0.94 * rates)
    assert 0.93 - NOISE <= share <= 0.97 + NOISE


@cache
def bootstrap_coverage(name, correlation, seed=2):
    """Of paired differences, by one draw of subjects for all trials."""
    rng, sizes = np.random.default_rng(seed), SIZES[name]
    before, after = rng.uniform(0.1, 0.4, TRIALS), rng.uniform(0.6, 0.9, TRIALS)
    a, subject = draw(rng, sizes, after, correlation)
    b, _ = draw(rng, sizes, before, correlation)
    gained = truth_of(a, rng) - truth_of(b, rng)
    draws = bootstrap.means(gained, subject, np.random.default_rng(0))
    result = [stats.bootstrapped(column, len(sizes)) for column in draws.T]
    return held(result, 0.94 * (after - before)), (gained, subject, result)


@pytest.mark.parametrize("correlation", CORRELATIONS)
@pytest.mark.parametrize("name", SIZES)
def test_bootstrap_of_paired_differences(name, correlation):
    share, _ = bootstrap_coverage(name, correlation)
    assert stats.DRAWS >= 2000
    assert 0.93 - NOISE <= share <= 0.97 + NOISE


def test_a_difference_is_that_bootstrap():
    _, (gained, subject, result) = bootstrap_coverage("sweep", 0.1)
    for row, ends in zip(gained[:20], result[:20], strict=True):
        one = stats.mean_difference(row, subject)
        assert (one.low, one.high) == pytest.approx(ends, abs=1e-12)


@pytest.mark.parametrize("name", ["split", "sweep"])
def test_without_subjects_all_of_them_are_too_narrow(name):
    """The opposite: rows counted one by one, where subjects answer alike."""
    rng = np.random.default_rng(3)
    rates = rng.uniform(0.2, 0.8, 500)
    answers, _ = draw(rng, SIZES[name], rates, 0.6)
    rows = np.arange(answers.shape[1])
    result = [stats.rate(one, rows) for one in answers]
    assert held([(one.low, one.high) for one in result], rates) < 0.91
    draws = bootstrap.means(answers.astype(float), rows, np.random.default_rng(0))
    assert held([stats.bootstrapped(d, len(rows)) for d in draws.T], rates) < 0.91
