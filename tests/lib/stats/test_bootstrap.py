"""Bootstrap over subjects: one set of draws behind weights, means and intervals."""

import numpy as np
import pytest

from stages.lib import stats
from stages.lib.stats import bootstrap

SUBJECT = np.array(["b", "a", "b", "c", "a", "b", "d", "e", "f"])
VALUES = np.array([0.1, 0.9, 0.4, 0.2, 0.7, 0.3, 0.5, 0.6, 0.8])


def generator():
    return np.random.default_rng(3)


def width(interval):
    return interval.high - interval.low


def test_a_draw_takes_all_statements_of_a_subject_equally_often():
    weights = bootstrap.weights(SUBJECT, generator())
    assert weights.shape == (stats.DRAWS, 9)
    for name in "abcdef":
        of_one = weights[:, name == SUBJECT]
        assert (of_one == of_one[:, :1]).all()
    firsts = np.unique(SUBJECT, return_index=True)[1]
    assert (weights[:, firsts].sum(axis=1) == 6).all()  # as many subjects as there are
    assert len(np.unique(weights, axis=0)) > 5


def test_means_are_those_of_the_weights():
    weights = bootstrap.weights(SUBJECT, generator())
    expected = weights @ VALUES / weights.sum(axis=1)
    actual = bootstrap.means(np.stack([VALUES, -VALUES]), SUBJECT, generator())
    np.testing.assert_allclose(actual, np.stack([expected, -expected], axis=1), rtol=1e-12)


def test_an_interval_of_means_is_that_of_a_difference():
    draws = bootstrap.means(VALUES[None], SUBJECT, np.random.default_rng(0))[:, 0]
    actual = bootstrap.interval(VALUES.mean(), draws, SUBJECT)
    expected = stats.mean_difference(VALUES, SUBJECT, seed=0)
    assert actual.n == expected.n == 9
    assert (actual.value, actual.low, actual.high) == pytest.approx(
        (expected.value, expected.low, expected.high), rel=1e-12
    )


def test_an_interval_widens_with_fewer_subjects():
    """Statements about one subject are one draw: the same draws count for less."""
    values, subject = np.linspace(0, 1, 40), np.arange(40) // 5
    draws = bootstrap.means(values[None], subject, generator())[:, 0]
    of_eight = bootstrap.interval(values.mean(), draws, subject)
    of_all = bootstrap.interval(values.mean(), draws, np.arange(40))
    assert width(of_eight) > width(of_all) > 0
