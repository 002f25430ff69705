"""Probes find a planted direction where it was planted, and nothing elsewhere."""

import json
from typing import Any, cast

import numpy as np
import polars as pl
import pytest
from safetensors import safe_open
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stages.lib import shards
from stages.lib.io import tables
from stages.lib.io.cli import UserError
from stages.lib.probing import probe, probe_tables
from stages.lib.probing.config import ProbesConfig
from stages.probes import __main__ as stage

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
    found = {}
    for site in ("resid_post", "z"):
        given, shape = places(arrays, site)
        found[site] = probe.survey(given, design, settings, shape, site, n_jobs)
    return found


def design(labels=LABELS, known=None):
    """The design over the rows above; nothing is known unless said."""
    known = np.zeros(N, dtype=bool) if known is None else known
    return probe.design(labels, SUBJECT, SELECTED, known)


@pytest.fixture(scope="module")
def found():
    return survey(activations(), design())


def test_planted_direction_is_found_and_only_there(found):
    accuracy = found["z"].correct.mean(axis=-1)  # (layers, heads, fit, scored)
    same = np.einsum("lhpp->lhp", accuracy)
    assert (same[PLANTED] > 0.95).all()
    elsewhere = np.ones((N_LAYERS, N_HEADS), dtype=bool)
    elsewhere[PLANTED] = False
    assert np.abs(same[elsewhere] - 0.5).max() < 0.15  # 200 statements: 4.2 standard errors
    for persona, name in enumerate(PERSONAS):
        cosine = found["z"].directions[*PLANTED, persona] @ direction(D_HEAD)
        assert cosine * SIGN[name] > 0.95


def test_directions_are_unit_vectors_in_raw_space():
    # features of very different scales: a direction left in standardised space would miss this
    arrays = activations()
    scales = np.geomspace(0.01, 100, D_HEAD).astype(np.float32)
    rescaled = arrays | {"z": arrays["z"] * scales}
    found = survey(rescaled, design())
    vector = found["z"].directions[*PLANTED, 1]
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    expected = direction(D_HEAD) / scales
    assert vector @ expected / np.linalg.norm(expected) > 0.95
    assert vector @ direction(D_HEAD) < 0.5


def test_scores_can_be_recomputed_from_direction_and_intercept(found):
    z = activations()["z"]
    report = design().report
    probes = found["z"]
    for layer, head in np.ndindex(N_LAYERS, N_HEADS):
        x = z[:, report, layer, head]
        for fit in range(len(PERSONAS)):
            score = x @ probes.directions[layer, head, fit] + probes.intercepts[layer, head, fit]
            right = (score > 0) == LABELS[report]
            assert (right == probes.correct[layer, head, fit]).mean() > 0.999  # float32 rounding


def test_liar_is_opposite_and_transfer_to_it_is_below_chance(found):
    neutral, honest, liar = range(3)
    cosines = probe.cosines(found["z"].directions)[PLANTED]
    assert cosines[honest, liar] < -0.9
    assert cosines[neutral, honest] > 0.9
    assert cosines[honest, honest] == pytest.approx(1)
    accuracy = found["z"].correct[PLANTED].mean(axis=-1)
    assert accuracy[honest, neutral] > 0.95
    assert accuracy[honest, liar] < 0.05
    assert accuracy[liar, honest] < 0.05


def test_permuted_labels_give_chance_where_true_ones_do_not():
    many = ProbesConfig(1.0, 1000, permutations=20, seed=0)
    given, _ = places(activations(), "z")
    planted = list(given)[np.ravel_multi_index(PLANTED, (N_LAYERS, N_HEADS))]
    found = probe.fit_place(planted, design(), many, index=0)
    assert found.correct[1, 1].mean() > 0.95
    assert abs(found.permuted[1, 1].mean() - 0.5) < 0.1
    other = probe.fit_place(planted, design(), many, index=1)
    assert not np.array_equal(found.permuted, other.permuted)  # each place draws its own
    np.testing.assert_array_equal(found.correct, other.correct)


def test_no_permutations_no_control():
    none = ProbesConfig(1.0, 1000, permutations=0, seed=0)
    found = survey(activations(), design(), none)
    rows = probe_tables.layers(found, PERSONAS, design())
    permuted = [row for row in rows if row["labels"] == "permuted"]
    assert {(row["accuracy"], row["n"]) for row in permuted} == {(None, 0)}


def test_what_does_not_vary_has_no_direction(found):
    assert not found["resid_post"].directions[0].any()
    assert np.isnan(probe.cosines(found["resid_post"].directions)[0]).all()
    assert np.abs(found["resid_post"].intercepts[0]).max() < 1  # not a rounding error's inverse
    rows = probe_tables.cosine(found, PERSONAS)
    assert next(row["cosine"] for row in rows if row["site"] == "resid_post") is None


@pytest.mark.parametrize("name", ["directions", "intercepts", "held_out", "correct", "permuted"])
def test_bytes_do_not_depend_on_processes(found, name):
    two = survey(activations(), design(), n_jobs=2)
    for site in found:
        assert getattr(found[site], name).tobytes() == getattr(two[site], name).tobytes()


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
    for part in (SELECTED, ~SELECTED):
        for label in (LABELS, ~LABELS):
            known[np.flatnonzero(part & label)[:enough]] = True
    made = design(known=known)
    assert made.statements == "known"
    assert len(made.selection) == len(made.report) == 2 * enough
    known[np.flatnonzero(known & LABELS & ~SELECTED)[0]] = False
    fewer = design(known=known)
    assert fewer.statements == "all"
    assert len(fewer.selection) == len(fewer.report) == N // 2


def test_one_label_gives_null_and_no_crash():
    made = design(labels=np.ones(N, dtype=bool))
    found = survey(activations(), made)
    assert not made.fittable
    assert np.isnan(found["z"].directions).all()
    rows = probe_tables.layers(found, PERSONAS, made)
    assert len(rows) == (N_LAYERS + N_LAYERS + 1) * 2 * 9
    assert {(row["accuracy"], row["low"], row["n"]) for row in rows} == {(None, None, 0)}
    assert {row["accuracy"] for row in probe_tables.heads(found, PERSONAS, made)} == {None}
    assert {row["cosine"] for row in probe_tables.cosine(found, PERSONAS)} == {None}
    nothing = {"value": None, "low": None, "high": None, "n": 0}
    assert probe_tables.best(found, PERSONAS, made)["z"]["honest"]["liar"] == {
        "layer": None,
        "head": None,
        "held_out": nothing,
        "accuracy": nothing,
        "permuted": nothing,
    }


def test_one_subject_in_a_part_is_fitted_but_chooses_nothing():
    selected = SUBJECT == 0
    made = probe.design(LABELS, SUBJECT, selected, np.zeros(N, dtype=bool))
    assert made.fittable
    assert made.folds == ()
    found = survey(activations(), made)
    assert probe_tables.best(found, PERSONAS, made)["z"]["honest"]["honest"]["layer"] is None
    assert found["z"].correct.shape[-1] == N - 2
    nobody = probe.design(LABELS, SUBJECT, np.ones(N, dtype=bool), np.zeros(N, dtype=bool))
    rows = probe_tables.layers(survey(activations(), nobody), PERSONAS, nobody)
    assert {(row["accuracy"], row["n"]) for row in rows} == {(None, 0)}


def test_best_place_is_the_planted_one_with_its_control(found):
    best = probe_tables.best(found, PERSONAS, design())
    assert (
        best["z"]["honest"]["honest"]["layer"],
        best["z"]["honest"]["honest"]["head"],
    ) == PLANTED
    entry = best["resid_post"]["honest"]["honest"]
    assert entry["layer"] in (2, 3)
    assert "head" not in entry
    assert entry["accuracy"]["value"] > 0.95
    assert entry["accuracy"]["n"] == N // 2
    assert entry["permuted"]["value"] < 0.8
    # an inverted direction is wrong everywhere that it reads: the best transfer is no transfer
    assert best["z"]["honest"]["liar"]["held_out"]["value"] < 0.65


def test_z_row_is_the_mean_over_heads(found):
    rows = probe_tables.layers(found, PERSONAS, design())
    heads = probe_tables.heads(found, PERSONAS, design())
    for layer in range(N_LAYERS):
        (row,) = (
            row
            for row in rows
            if (row["site"], row["labels"], row["fit"], row["scored"], row["layer"])
            == ("z", "true", "honest", "honest", layer)
        )
        of_layer = [
            head["accuracy"]
            for head in heads
            if (head["fit"], head["scored"], head["layer"]) == ("honest", "honest", layer)
        ]
        assert row["accuracy"] == pytest.approx(np.mean(of_layer))
        assert row["low"] < row["accuracy"] < row["high"]


@pytest.mark.parametrize(
    ("curve", "layer"),
    [
        ([0.9, 0.8, 0.4, 0.6, 0.2], 2),
        ([None, 0.1, 0.6, 0.5, -0.3], 4),  # starts low: that is no fall
        ([0.1, 0.2, 0.3], None),
        ([0.9, None, 0.4], 2),
        ([0.9, 0.5], None),
        ([None, None], None),
    ],
)
def test_fall_of_a_cosine(curve, layer):
    reading = [0.9] * len(curve)
    entry = fall(curve, reading, reading)
    counted = sum(value is not None for value in curve)
    assert entry == {"falls_below_half": layer, "layers": counted}


def test_a_cosine_between_noise_is_no_fall():
    curve, reads, noise = [0.9, 0.2, 0.9, 0.8, 0.2], [0.6] * 5, [0.6, 0.5, 0.4, 0.6, 0.6]
    assert fall(curve, reads, reads) == {"falls_below_half": 1, "layers": 5}
    assert fall(curve, reads, noise) == {"falls_below_half": 4, "layers": 3}
    assert fall(curve, noise, reads) == {"falls_below_half": 4, "layers": 3}
    assert fall(curve, [None] * 5, reads) == {"falls_below_half": None, "layers": 0}


def fall(curve, lows_honest, lows_liar):
    """The entry of honest and liar, from cosines and the low ends of their probes' accuracy."""
    names = {"site": "z", "first": "honest", "second": "liar"}
    cosine_rows = [names | {"layer": i, "cosine": value} for i, value in enumerate(curve)]
    layer_rows = [
        {"site": "z", "labels": "true", "fit": name, "scored": name, "layer": i}
        | {"low": low, "n": 0 if low is None else 200}
        for name, lows in (("honest", lows_honest), ("liar", lows_liar))
        for i, low in enumerate(lows)
    ]
    return probe_tables.falls(cosine_rows, layer_rows, design())["z"]["honest"]["liar"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with params, statements, known and activations of three personas."""
    monkeypatch.chdir(tmp_path)
    params = {"personas": list(PERSONAS), "probes": vars(SETTINGS)}
    (tmp_path / "params.yaml").write_text(json.dumps(params))
    ids = [f"{i:016x}" for i in range(N)]
    parts = np.where(SELECTED, "selection", "report")
    statements = pl.DataFrame({"statement_id": ids}).with_columns(
        split=pl.lit("cities"),
        statement=pl.Series([f"Statement {i}." for i in range(N)]),
        label=pl.Series(LABELS),
        subject=pl.Series([f"city {i}" for i in SUBJECT]),
        object=pl.lit(""),
        template=pl.lit(""),
        part=pl.Series(parts.tolist()),
        origin=pl.lit("built-in"),
    )
    known = pl.DataFrame({"statement_id": ids}).with_columns(known=pl.lit(False))
    tables.write(tmp_path / "statements.parquet", statements, tables.STATEMENTS, ["statement_id"])
    tables.write(tmp_path / "known.parquet", known, tables.KNOWN, ["statement_id"])
    write_activations(tmp_path / "activations", activations(), ids)
    return tmp_path


def write_activations(folder, arrays, ids):
    """Shards for every persona, in two uneven parts, at one position."""
    provenance = {
        "statement_ids": ids,
        "sites": ["z", "resid_post"],
        "positions": [-1],
        "n_layers": N_LAYERS,
        "n_heads": N_HEADS,
    }
    for persona, name in enumerate(PERSONAS):
        with shards.writer(folder / name, provenance) as writer:
            for rows in (slice(0, 150), slice(150, None)):
                part = {site: array[persona, rows][:, None] for site, array in arrays.items()}
                writer.append(part)


def run(folder):
    """Run the stage in a folder."""
    stage.main(
        folder / "statements.parquet",
        folder / "activations",
        folder / "known.parquet",
        folder / "probes",
        folder / "metrics.json",
        folder / "plots",
    )


def test_stage_writes_directions_metrics_and_plots(project, found):
    run(project)
    with safe_open(project / "probes" / "directions.safetensors", framework="numpy") as file:
        assert file.metadata() == {"personas": json.dumps(PERSONAS)}
        z, resid = file.get_tensor("z"), file.get_tensor("resid_post")
        intercepts = file.get_tensor("z_intercept"), file.get_tensor("resid_post_intercept")
    assert z.shape == (3, N_LAYERS, N_HEADS, D_HEAD)
    assert resid.shape == (3, N_LAYERS + 1, D_MODEL)
    assert [one.shape for one in intercepts] == [(3, N_LAYERS, N_HEADS), (3, N_LAYERS + 1)]
    assert z.dtype == resid.dtype == np.float32
    np.testing.assert_array_equal(z[1, 1, 1], found["z"].directions[1, 1, 1])
    np.testing.assert_array_equal(resid[2, 3], found["resid_post"].directions[3, 0, 2])

    metrics = tables.read_json(project / "metrics.json")
    assert metrics["statements"] == "all"
    half = {"true": N // 4, "false": N // 4, "subjects": SUBJECTS // 2}
    assert metrics["n"] == {"selection": half, "report": half}
    assert metrics["best"]["z"]["liar"]["liar"]["head"] == PLANTED[1]
    assert metrics["cosine"]["z"]["honest"]["liar"] == {"falls_below_half": None, "layers": 1}
    expected = {
        "layers": ["site", "labels", "fit", "scored", "layer", "accuracy", "low", "high", "n"],
        "heads": ["fit", "scored", "layer", "head", "accuracy", "low", "high", "n"],
        "cosine": ["site", "first", "second", "layer", "cosine"],
    }
    rows = {name: tables.read_json(project / "plots" / f"{name}.json") for name in expected}
    for name, columns in expected.items():
        assert all(list(row) == columns for row in rows[name])
    pairs = {(row["first"], row["second"]) for row in rows["cosine"]}
    assert pairs == {("neutral", "honest"), ("neutral", "liar"), ("honest", "liar")}


def test_stage_gives_the_same_bytes_twice(project):
    names = ["probes/directions.safetensors", "metrics.json"]
    names += [f"plots/{name}.json" for name in ("layers", "heads", "cosine")]
    run(project)
    first = [(project / name).read_bytes() for name in names]
    run(project)
    assert [(project / name).read_bytes() for name in names] == first


def test_activations_of_other_statements_are_refused(project):
    write_activations(
        project / "activations", activations(), [f"{i:016x}" for i in range(1, N + 1)]
    )
    with pytest.raises(UserError, match=r"neutral: .*1 are missing and 1 unknown"):
        run(project)


@pytest.mark.parametrize("layer", [0, N_LAYERS - 1])
def test_activations_that_are_not_finite_are_refused(project, layer):
    arrays = activations()
    arrays["z"][2, 7, layer, 0, 0] = np.inf
    write_activations(project / "activations", arrays, [f"{i:016x}" for i in range(N)])
    with pytest.raises(UserError, match=rf"liar: z of layer {layer} is not finite"):
        run(project)
    assert not (project / "probes").exists()


def test_fits_converge_where_features_outnumber_statements():
    rng = np.random.default_rng(0)
    place = rng.normal(size=(3, N, 600)).astype(np.float32)
    found = probe.fit_place(place, design(), SETTINGS, index=0)
    assert found.directions.shape == (3, 600)


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
    found = probe.fit_place(place, made, SETTINGS, index=0)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-9, max_iter=10000))
    pipeline.fit(place[0, made.selection].astype(float), LABELS[made.selection])
    scaler, logistic = cast(Any, pipeline)
    weights = logistic.coef_[0] / scaler.scale_
    expected = weights / np.linalg.norm(weights)
    np.testing.assert_allclose(found.directions[0], expected, atol=1e-5)
    right = pipeline.predict(place[0, made.report].astype(float)) == LABELS[made.report]
    np.testing.assert_array_equal(found.correct[0, 0], right)
