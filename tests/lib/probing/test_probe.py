"""Probes find a planted direction where it was planted, and nothing elsewhere."""

from typing import Any, cast

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stages.lib.probing import probe
from stages.lib.probing.config import ProbesConfig

pytestmark = pytest.mark.filterwarnings("error")  # above all: every fit converges

PERSONAS = ("neutral", "honest", "liar")
SETTINGS = ProbesConfig(regularisation=1.0, max_iter=1000, permutations=1, seed=0)
SUBJECTS, N_LAYERS, N_HEADS, D_HEAD, D_MODEL = 200, 3, 2, 8, 16
N = 2 * SUBJECTS  # a true and a false statement of each subject
LABELS = np.arange(N) % 2 == 0
SUBJECT = np.arange(N) // 2
SELECTED = SUBJECT < SUBJECTS // 2
PLANTED = (1, 1)  # layer and head that hold the truth
SIGN = {"neutral": 1, "honest": 1, "liar": -1}  # the liar holds it inverted


def direction(d):
    """A unit vector that leans on features of very different scales."""
    vector = np.arange(1, d + 1, dtype=float)
    return vector / np.linalg.norm(vector)


def activations(seed=0):
    """Activations z (personas, n, layers, heads, d_head) and resid_post (…, layers + 1, d_model).

    The truth is planted in head (1, 1) and in the residual from layer 2 on; the rest is noise,
    about a centre far from 0. Residual 0 does not vary: every prompt ends with the same token.
    """
    rng = np.random.default_rng(seed)
    z = rng.normal(5, 1, (len(PERSONAS), N, N_LAYERS, N_HEADS, D_HEAD))
    resid = rng.normal(-3, 1, (len(PERSONAS), N, N_LAYERS + 1, D_MODEL))
    resid[:, :, 0] = rng.normal(size=D_MODEL)
    for persona, name in enumerate(PERSONAS):
        told = SIGN[name] * np.where(LABELS, 2.0, -2.0)
        z[persona, :, *PLANTED] += told[:, None] * direction(D_HEAD)
        resid[persona, :, 2:] += told[:, None, None] * direction(D_MODEL)
    return {"z": z.astype(np.float32), "resid_post": resid.astype(np.float32)}


def places(arrays, site):
    """What the stage feeds to `survey`: (personas, n, d) of every place."""
    array = arrays[site] if site == "z" else arrays[site][:, :, :, None]
    shape = array.shape[2:4]
    return (array[:, :, layer, head] for layer, head in np.ndindex(shape)), shape


def survey(arrays, design, settings=SETTINGS, n_jobs=1):
    """Probes of both sites."""
    result = {}
    for site in ("resid_post", "z"):
        given, shape = places(arrays, site)
        result[site] = probe.survey(given, design, settings, shape, site, n_jobs)
    return result


def design(labels=LABELS, known=None):
    """The design over the rows above; nothing is known unless said."""
    known = np.zeros(N, dtype=bool) if known is None else known
    return probe.design(labels, SUBJECT, SELECTED, known)


@pytest.fixture(scope="module")
def result():
    return survey(activations(), design())


def test_planted_direction_is_found_and_only_there(result):
    accuracy = result["z"].correct.mean(axis=-1)  # (layers, heads, fit, scored)
    same = np.einsum("lhpp->lhp", accuracy)
    assert (same[PLANTED] > 0.95).all()
    elsewhere = np.ones((N_LAYERS, N_HEADS), dtype=bool)
    elsewhere[PLANTED] = False
    assert np.abs(same[elsewhere] - 0.5).max() < 0.15  # 200 statements: 4.2 standard errors
    for persona, name in enumerate(PERSONAS):
        cosine = result["z"].directions[*PLANTED, persona] @ direction(D_HEAD)
        assert cosine * SIGN[name] > 0.95


def test_directions_are_unit_vectors_in_raw_space():
    # features of very different scales: a direction left in standardised space would miss this
    arrays = activations()
    scales = np.geomspace(0.01, 100, D_HEAD).astype(np.float32)
    rescaled = arrays | {"z": arrays["z"] * scales}
    result = survey(rescaled, design())
    vector = result["z"].directions[*PLANTED, 1]
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    expected = direction(D_HEAD) / scales
    assert vector @ expected / np.linalg.norm(expected) > 0.95
    assert vector @ direction(D_HEAD) < 0.5


def test_scores_can_be_recomputed_from_direction_and_intercept(result):
    z = activations()["z"]
    report = design().report
    probes = result["z"]
    for layer, head in np.ndindex(N_LAYERS, N_HEADS):
        x = z[:, report, layer, head]
        for fit in range(len(PERSONAS)):
            score = x @ probes.directions[layer, head, fit] + probes.intercepts[layer, head, fit]
            right = (score > 0) == LABELS[report]
            assert (right == probes.correct[layer, head, fit]).mean() > 0.999  # float32 rounding


def test_liar_is_opposite_and_transfer_to_it_is_below_chance(result):
    neutral, honest, liar = range(3)
    cosines = probe.cosines(result["z"].directions)[PLANTED]
    assert cosines[honest, liar] < -0.9
    assert cosines[neutral, honest] > 0.9
    assert cosines[honest, honest] == pytest.approx(1)
    accuracy = result["z"].correct[PLANTED].mean(axis=-1)
    assert accuracy[honest, neutral] > 0.95
    assert accuracy[honest, liar] < 0.05
    assert accuracy[liar, honest] < 0.05


def test_permuted_labels_give_chance_where_true_ones_do_not():
    many = ProbesConfig(1.0, 1000, permutations=20, seed=0)
    given, _ = places(activations(), "z")
    planted = list(given)[np.ravel_multi_index(PLANTED, (N_LAYERS, N_HEADS))]
    result = probe.fit_place(planted, design(), many, index=0)
    assert result.correct[1, 1].mean() > 0.95
    assert abs(result.permuted[1, 1].mean() - 0.5) < 0.1
    other = probe.fit_place(planted, design(), many, index=1)
    assert not np.array_equal(result.permuted, other.permuted)  # each place draws its own
    np.testing.assert_array_equal(result.correct, other.correct)


@pytest.mark.parametrize("name", ["directions", "intercepts", "held_out", "correct", "permuted"])
def test_bytes_do_not_depend_on_processes(result, name):
    two = survey(activations(), design(), n_jobs=2)
    for site in result:
        assert getattr(result[site], name).tobytes() == getattr(two[site], name).tobytes()


def test_no_subject_is_both_fitted_and_scored():
    made = design()
    assert not set(made.subjects[made.selection]) & set(made.subjects[made.report])
    assert len(made.folds) == probe.FOLDS
    for train, test in made.folds:
        chosen = made.subjects[made.selection]
        assert not set(chosen[train]) & set(chosen[test])
    tested = np.concatenate([test for _, test in made.folds])
    assert sorted(tested) == list(range(len(made.selection)))


def test_report_part_does_not_touch_what_is_fitted_or_chosen():
    arrays = activations()
    changed = {site: array.copy() for site, array in arrays.items()}
    for array in changed.values():
        array[:, ~SELECTED] = -array[:, ~SELECTED]
    made = design()
    before, after = survey(arrays, made), survey(changed, made)
    for site in before:
        np.testing.assert_array_equal(before[site].directions, after[site].directions)
        np.testing.assert_array_equal(before[site].held_out, after[site].held_out)
        assert not np.array_equal(before[site].correct, after[site].correct)


def test_known_statements_are_used_where_there_are_enough_of_both_labels():
    enough = probe.ENOUGH
    known = np.zeros(N, dtype=bool)
    for split in (SELECTED, ~SELECTED):
        for label in (LABELS, ~LABELS):
            known[np.flatnonzero(split & label)[:enough]] = True
    made = design(known=known)
    assert made.statements == "known"
    assert len(made.selection) == len(made.report) == 2 * enough
    known[np.flatnonzero(known & LABELS & ~SELECTED)[0]] = False
    fewer = design(known=known)
    assert fewer.statements == "all"
    assert len(fewer.selection) == len(fewer.report) == N // 2


def test_fits_converge_where_features_outnumber_statements():
    rng = np.random.default_rng(0)
    place = rng.normal(size=(3, N, 600)).astype(np.float32)
    result = probe.fit_place(place, design(), SETTINGS, index=0)
    assert result.directions.shape == (3, 600)


def test_more_features_than_statements_give_the_same_probe():
    # columns that do not vary weigh nothing, but so many call for other axes
    few = activations()["z"][:, :, 0, 0]
    padding = np.ones((*few.shape[:2], N), dtype=np.float32)
    for padded in ([few, padding], [padding, few]):
        many = np.concatenate(padded, axis=-1)
        one, other = (probe.fit_place(x, design(), SETTINGS, index=0) for x in (few, many))
        varies = many[0].std(axis=0) > 0
        np.testing.assert_allclose(other.directions[:, varies], one.directions, atol=1e-5)
        assert not other.directions[:, ~varies].any()
        np.testing.assert_array_equal(one.correct, other.correct)


def test_probe_is_scikit_learns_own():
    place = np.random.default_rng(0).normal(3, 2, (1, N, 300)).astype(np.float32)
    made = design()
    result = probe.fit_place(place, made, SETTINGS, index=0)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-9, max_iter=10000))
    pipeline.fit(place[0, made.selection].astype(float), LABELS[made.selection])
    scaler, logistic = cast(Any, pipeline)
    weights = logistic.coef_[0] / scaler.scale_
    expected = weights / np.linalg.norm(weights)
    np.testing.assert_allclose(result.directions[0], expected, atol=1e-5)
    right = pipeline.predict(place[0, made.report].astype(float)) == LABELS[made.report]
    np.testing.assert_array_equal(result.correct[0, 0], right)
