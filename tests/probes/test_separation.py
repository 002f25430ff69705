"""AUROC of a probe's direction, whatever its threshold is."""

import numpy as np
import pytest

from stages.lib import stats
from stages.lib.stats import NOTHING
from stages.probes import separation
from tests.intervals import there

LABEL = np.array([True, False] * 6)
SUBJECT = np.repeat(np.arange(6), 2)


def test_a_shift_that_makes_every_answer_the_same_does_not_change_it():
    score = np.where(LABEL, 1.0, -1.0)
    for shift in (0.0, 100.0):
        result = separation.auroc(score + shift, LABEL, SUBJECT)
        assert (result.value, result.high, result.n) == (1.0, 1.0, 12)
        # Other subjects may differ, and a pair is about two.
        unseen = there(stats.rate(np.zeros(12), SUBJECT).high)
        assert result.low == pytest.approx((1 - unseen) ** 2)


def test_the_opposite_sign_is_0_and_equal_scores_are_one_half():
    assert separation.auroc(np.where(LABEL, -1.0, 1.0), LABEL, SUBJECT).value == 0
    assert separation.auroc(np.zeros(12), LABEL, SUBJECT).value == 0.5


def test_it_is_the_share_of_pairs_in_the_right_order_and_its_interval_holds_it():
    score = np.random.default_rng(0).normal(size=12)
    pairs = score[LABEL][:, None] > score[~LABEL]
    result = separation.auroc(score, LABEL, SUBJECT)
    assert result.value == pytest.approx(pairs.mean())
    assert result.low is not None
    assert result.high is not None
    assert result.value is not None
    assert result.low < result.value < result.high


@pytest.mark.parametrize(
    ("score", "label"), [(np.zeros(12), LABEL | True), (np.full(12, np.nan), LABEL)]
)
def test_without_both_labels_or_without_a_score_there_is_nothing(score, label):
    assert separation.auroc(score, label, SUBJECT) == NOTHING
