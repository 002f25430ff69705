"""Each method finds what it is made to find, and fails where it must."""

from typing import Any, cast

import numpy as np
import polars as pl
import pytest
from scipy.optimize import check_grad
from sklearn.base import clone
from sklearn.covariance import ledoit_wolf

from stages.lib.facts import NEGATED
from stages.transfer import forms
from stages.transfer.estimators import METHODS, ccs, make
from stages.transfer.estimators.mass_mean import shrinkage, tilted
from stages.transfer.estimators.ttpd import truth_directions

pytestmark = pytest.mark.filterwarnings("error")  # above all: every fit converges

D, FACTS, TOPICS = 24, 160, 4


def table(n=FACTS, negated=True):
    """A true and a false claim of each subject, plain and negated."""
    rows = [
        {"topic": side + f"topic{i % TOPICS}", "subject": f"s{i}", "object": object_}
        | {"label": (object_ == "right") != bool(side), "template": side or "plain"}
        for side in (("", NEGATED) if negated else ("",))
        for i in range(n)
        for object_ in ("right", "wrong")
    ]
    return pl.DataFrame(rows)


TABLE = table()
Y = TABLE["label"].to_numpy()
FORMS = forms.read(TABLE)
SIGN = np.where(Y, 1.0, -1.0)
POLARITY = np.where(FORMS.negated, -1.0, 1.0)
HALF = np.array([int(s[1:]) < FACTS // 2 for s in TABLE["subject"]])  # fitted on; subjects apart


def axis(i):
    return np.eye(D)[i]


def unit(v):
    return v / np.linalg.norm(v)


def planted(truth=3.0, flipping=0.0, polarity=3.0, seed=0):
    """Truth on axis 0, truth times polarity on axis 1, polarity on axis 2, around a far centre."""
    x = np.random.default_rng(seed).normal(-4, 1, (len(Y), D))
    x[:, 0] += truth * SIGN
    x[:, 1] += flipping * SIGN * POLARITY
    x[:, 2] += polarity * POLARITY
    return x


def accuracy(model, x, rows):
    return (model.predict(x[rows], FORMS.negated[rows]) == Y[rows]).mean()


def fitted(name, x, rows=HALF, y=Y):
    return make(name).fit(x[rows], y[rows], FORMS[rows])


def test_a_pair_is_a_statement_and_its_negation_and_one_of_them_is_true():
    plain, negations = FORMS.halves()
    assert len(plain) == 2 * FACTS
    assert not FORMS.negated[plain].any()
    assert FORMS.negated[negations].all()
    assert (Y[plain] != Y[negations]).all()
    for column in ("subject", "object"):
        assert (TABLE[column].to_numpy()[plain] == TABLE[column].to_numpy()[negations]).all()
    assert set(FORMS.family) == {f"topic{i}" for i in range(TOPICS)}


def test_half_a_pair_is_none_and_a_split_without_its_plain_form_is_not_negated():
    kept = FORMS[np.arange(len(Y)) != 0]  # the negation of row 0 is now alone
    assert len(kept.halves()[0]) == 2 * FACTS - 1
    only = forms.read(TABLE.filter(pl.col("topic").str.starts_with(NEGATED)))
    assert not only.negated.any()
    assert (only.pair == forms.ALONE).all()


def test_statements_without_an_object_have_no_negation():
    """A subject may have several facts, and nothing says which one a statement is about."""
    vague = TABLE.with_columns(object=pl.lit(""))
    assert forms.read(vague).halves()[0].size == 0 < FORMS.halves()[0].size


def test_rows_that_say_the_same_in_two_wordings_are_paired_once_each():
    twice = pl.concat([TABLE, TABLE.with_columns(template=pl.col("template") + "!")])
    plain, negations = forms.read(twice).halves()
    assert len(plain) == len(set(plain)) == len(set(negations)) == 4 * FACTS


@pytest.mark.parametrize("name", METHODS)
def test_a_planted_direction_is_recovered(name):
    x = planted()
    model = fitted(name, x)
    assert accuracy(model, x, ~HALF) > 0.95
    assert unit(model.coef_) @ axis(0) > 0.9


@pytest.mark.parametrize("name", METHODS)
def test_permuted_labels_give_chance_on_labels_permuted_too(name):
    x, rng = planted(), np.random.default_rng(1)
    result = []
    for _ in range(10):
        y = rng.permutation(Y)
        said = fitted(name, x, y=y).predict(x[~HALF], FORMS.negated[~HALF])
        result.append((said == y[~HALF]).mean())
    assert abs(np.mean(result) - 0.5) < 0.05


@pytest.mark.parametrize("name", METHODS)
def test_nothing_is_read_from_noise(name):
    x = planted(truth=0)
    assert abs(accuracy(fitted(name, x), x, ~HALF) - 0.5) < 0.12  # 320 statements: 4 errors


@pytest.mark.parametrize("name", METHODS)
def test_estimators_are_scikit_learns(name):
    model = cast(Any, clone(make(name, seed=3, max_iter=500, regularisation=2.0)))
    assert model.get_params().get("max_iter", 500) == 500
    x = planted()
    scores = model.fit(x, Y, FORMS).decision_function(x, FORMS.negated)
    assert scores.shape == (len(Y),)
    np.testing.assert_array_equal(scores > 0, model.predict(x, FORMS.negated))
    np.testing.assert_array_equal(model.classes_, [False, True])
    again = cast(Any, clone(model)).fit(x, Y, FORMS)
    np.testing.assert_array_equal(again.coef_, model.coef_)


@pytest.mark.parametrize("name", METHODS)
def test_what_does_not_vary_weighs_nothing(name):
    x = planted()
    x[:, 5] = 1e4
    assert fitted(name, x).coef_[5] == 0
    constant = make(name).fit(np.full((len(Y), 3), 7.0), Y, FORMS)
    np.testing.assert_array_equal(constant.coef_, 0)


@pytest.mark.parametrize("name", METHODS)
def test_a_label_or_a_form_that_is_missing_is_refused(name):
    x, model = planted(), make(name)
    for rows in (Y, np.zeros_like(Y)):
        assert not model.can_fit(Y[rows], FORMS[rows])
        with pytest.raises(ValueError, match="cannot be fitted"):
            model.fit(x[rows], Y[rows], FORMS[rows])
    plain = ~FORMS.negated
    assert model.can_fit(Y[plain], FORMS[plain]) == (model.needs == "a topic")


def test_the_correction_helps_where_truth_leans_on_a_direction_that_varies_anyway():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(len(Y), D))
    x[:, 0] += 2 * SIGN
    x[:, 1] = 8 * rng.normal(size=len(Y))  # loud, and
    x[:, 0] += x[:, 1]  # not orthogonal to the truth: x0 - x1 reads it
    best = unit(axis(0) - axis(1))
    plain, corrected = (fitted(name, x) for name in ("mass_mean", "mass_mean_corrected"))
    assert accuracy(plain, x, ~HALF) < 0.75
    assert accuracy(corrected, x, ~HALF) > 0.9
    assert unit(corrected.coef_) @ best > 0.95 > unit(plain.coef_) @ best


def test_the_correction_is_the_inverse_of_the_shrunk_covariance_in_any_dimension():
    rng = np.random.default_rng(0)
    for n, d in ((60, 8), (30, 50)):
        x, y = rng.normal(size=(n, d)) * np.geomspace(0.1, 10, d), np.arange(n) % 2 == 0
        rest = np.where(y[:, None], x - x[y].mean(axis=0), x - x[~y].mean(axis=0))
        covariance, weight = ledoit_wolf(rest, assume_centered=True)
        assert shrinkage(rest @ rest.T, d)[0] == pytest.approx(weight)
        vectors = rng.normal(size=(3, d))
        expected = np.linalg.solve(covariance, vectors.T).T
        np.testing.assert_allclose(tilted(x, y, vectors), expected, rtol=1e-8)
        np.testing.assert_allclose(tilted(x, y, vectors[0]), expected[0], rtol=1e-8)


def test_a_probe_of_plain_statements_fails_on_negated_ones_where_truth_turns_with_polarity():
    x = planted(truth=1.5, flipping=4.0)
    plain, negated = ~FORMS.negated, FORMS.negated
    for name in ("logistic", "mass_mean", "mass_mean_corrected"):
        model = fitted(name, x, HALF & plain)
        assert accuracy(model, x, ~HALF & plain) > 0.95
        assert accuracy(model, x, ~HALF & negated) < 0.2
    both = fitted("ttpd", x)
    assert min(accuracy(both, x, ~HALF & side) for side in (plain, negated)) > 0.85
    steady = planted(truth=4.0)  # the opposite: truth that does not turn
    assert accuracy(fitted("logistic", steady, HALF & plain), steady, ~HALF & negated) > 0.95


def test_general_truth_and_polarity_are_told_apart_also_where_labels_are_uneven():
    x = planted(truth=1.0, flipping=3.0)
    rng = np.random.default_rng(0)
    rows = HALF & (Y | (rng.random(len(Y)) < 0.4) | FORMS.negated)
    general, turning = truth_directions(x[rows], Y[rows], FORMS[rows])
    np.testing.assert_allclose(general[:2], [1, 0], atol=0.25)
    np.testing.assert_allclose(turning[:2], [0, 3], atol=0.25)
    assert abs(general[2]) < 0.3
    assert abs(unit(cast(Any, fitted("ttpd", x)).polarity_) @ axis(2)) > 0.7


def test_contrast_ignores_what_tells_the_halves_apart_and_learns_nothing_but_a_sign_from_labels():
    x = planted(polarity=50.0)
    model, turned = fitted("ccs", x), fitted("ccs", x, y=~Y)
    assert accuracy(model, x, ~HALF) > 0.95
    np.testing.assert_array_equal(turned.coef_, -model.coef_)
    assert abs(model.intercepts_[1] - model.intercepts_[0]) > 1  # one threshold for each half
    noise = planted(truth=0, polarity=50.0)
    assert abs(accuracy(fitted("ccs", noise), noise, ~HALF) - 0.5) < 0.12


def test_contrast_follows_its_loss():
    rows = np.random.default_rng(0).normal(size=(40, 5))
    for seed in range(5):
        line = np.random.default_rng(seed).normal(size=6)
        difference = check_grad(
            lambda v: ccs.loss(v, rows)[0], lambda v: ccs.loss(v, rows)[1], line
        )
        assert difference < 1e-6
