"""Verdicts: what an interval decides, what it leaves open, and p-values of a family."""

from itertools import product

import numpy as np
import pytest

from stages.lib.claim import (
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    UNTESTED,
    Chance,
    Claim,
    above,
    alike,
    among,
    below,
    between,
    corrected,
    holm,
    no_worse,
    so,
    unlikely,
)
from stages.lib.stats import NOTHING, Interval


def interval(low, high):
    return Interval((low + high) / 2, low, high, 50)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.51, 0.6, SUPPORTED),
        (0.4, 0.49, NOT_SUPPORTED),
        (0.4, 0.6, INCONCLUSIVE),
        (0.5, 0.6, INCONCLUSIVE),  # it touches the bound
    ],
)
def test_an_interval_beside_a_bound(low, high, verdict):
    assert above("it", interval(low, high), 0.5).verdict == verdict
    assert below("it", interval(1 - high, 1 - low), 0.5).verdict == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.04, 0.04, SUPPORTED),
        (-0.04, 0.06, INCONCLUSIVE),
        (-0.3, 0.3, INCONCLUSIVE),  # holds 0, and says nothing
        (0.06, 0.1, NOT_SUPPORTED),
        (-0.1, -0.06, NOT_SUPPORTED),
        (0.01, 0.02, SUPPORTED),  # different, and by too little to matter
    ],
)
def test_two_runs_are_alike_where_the_interval_is_inside_the_margin(low, high, verdict):
    assert alike("it", interval(low, high)).verdict == verdict


def test_doing_better_is_not_worse():
    assert no_worse("it", interval(0.2, 0.3)).verdict == SUPPORTED
    assert alike("it", interval(0.2, 0.3)).verdict == NOT_SUPPORTED
    assert no_worse("it", interval(-0.3, -0.2)).verdict == NOT_SUPPORTED
    assert no_worse("it", interval(-0.2, 0.2)).verdict == INCONCLUSIVE


def test_a_range_has_two_ends():
    for low, high in ((0.1, 0.3), (0.7, 0.9)):
        assert between("it", interval(low, high), (0.4, 0.6)).verdict == NOT_SUPPORTED
    assert between("it", interval(0.45, 0.55), (0.4, 0.6)).verdict == SUPPORTED
    assert between("it", interval(0.45, 0.65), (0.4, 0.6)).verdict == INCONCLUSIVE


@pytest.mark.parametrize(
    ("row", "verdict"),
    [(None, UNTESTED), (NOTHING, UNTESTED), (Interval(0.5, None, None, 3), INCONCLUSIVE)],
)
def test_without_an_interval_nothing_is_decided(row, verdict):
    """Something was measured where there is a value, on too few subjects for an interval."""
    checks = above("it", row, 0.5), alike("it", row), below("it", row, 0.5)
    assert {check.verdict for check in checks} == {verdict}
    assert above("it", interval(0.8, 0.9), None).verdict == UNTESTED


def test_more_data_turns_inconclusive_into_a_verdict_and_never_one_into_the_other():
    """An interval that shrinks round the truth: from open to decided, and the right way."""
    for truth, verdict in ((0.6, SUPPORTED), (0.4, NOT_SUPPORTED)):
        verdicts = [
            above("it", interval(truth - h, truth + h), 0.5).verdict for h in (0.3, 0.2, 0.05, 0.01)
        ]
        assert verdicts == [INCONCLUSIVE, INCONCLUSIVE, verdict, verdict]


def test_holm_by_hand():
    """Holm (1979): 3 x 0.01, 2 x 0.02 (not below 0.03), 1 x 0.04."""
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.03, 0.03]) == pytest.approx([0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_keeps_the_order_and_lies_between_none_and_bonferroni():
    random = np.random.default_rng(0)
    for n in (1, 2, 7):
        p = random.random(n)
        adjusted = np.array(holm(list(p)))
        assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
        assert (adjusted >= p).all()
        assert (adjusted <= np.minimum(1, n * p) + 1e-12).all()


def test_holm_errs_in_at_most_one_family_of_twenty():
    random = np.random.default_rng(0)
    errs = [min(holm(list(p))) < 0.05 for p in random.random((4000, 5))]
    assert 0.04 < np.mean(errs) < 0.06
    assert np.mean(random.random((4000, 5)).min(axis=1) < 0.05) > 0.2  # without it


def test_p_values_of_all_claims_are_one_family():
    chances = Chance(0.03, 0.01), Chance(0.001, 0.001), None
    claims = [Claim("?", ".", [unlikely("it", "so", chance)]) for chance in chances]
    assert [claim.verdict(True) for claim in claims] == [SUPPORTED, SUPPORTED, UNTESTED]
    claims = corrected([*claims, *claims])
    assert [claim.verdict(True) for claim in claims] == [INCONCLUSIVE, SUPPORTED, UNTESTED] * 2
    assert (
        claims[0]
        .checks[0]
        .measured.endswith("the smallest possible being 0.010; 0.060 after correction")
    )


def test_a_p_value_that_could_not_pass_the_correction_says_so():
    chances = Chance(0.2, 0.04), Chance(0.3, 0.001)
    claims = corrected([Claim("?", ".", [unlikely("it", "so", chance)]) for chance in chances])
    said = [claim.checks[0].measured for claim in claims]
    assert said[0].endswith(
        "0.400 after correction, where no result could be below 0.05: this check cannot pass"
    )
    assert said[1].endswith("0.400 after correction")


@pytest.mark.parametrize(
    ("n_as_good", "n", "verdict"),
    [
        (0, 100, SUPPORTED),
        (2, 100, SUPPORTED),
        (7, 100, INCONCLUSIVE),
        (26, 100, NOT_SUPPORTED),
        (0, 20, INCONCLUSIVE),  # p = 0.048, and up to a sixth of all sets may do as well
        (2, 20, INCONCLUSIVE),
        (20, 20, NOT_SUPPORTED),
    ],
)
def test_a_set_among_random_ones(n_as_good, n, verdict):
    assert unlikely("it", "so", among(n_as_good, n)).verdict == verdict


def test_without_draws_there_is_no_chance():
    assert among(0, 0) is None


def test_the_worst_check_decides_whatever_the_order():
    made = {
        SUPPORTED: so("a", "", "", True),
        NOT_SUPPORTED: so("b", "", "", False),
        INCONCLUSIVE: above("c", interval(0.4, 0.6), 0.5),
        UNTESTED: so("d", "", "", None),
    }
    order = [NOT_SUPPORTED, INCONCLUSIVE, UNTESTED, SUPPORTED]
    for first, second in product(made, repeat=2):
        claim = Claim("?", ".", [made[first], made[second]])
        worst = min(first, second, key=order.index)
        assert claim.verdict(lies=True) == worst
        assert claim.deciding() == made[worst]
        assert claim.verdict(lies=False) == UNTESTED
