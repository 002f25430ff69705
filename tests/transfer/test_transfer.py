"""Stage `transfer`: layers, transfer, controls, and where two personas part."""

import json

import numpy as np
import polars as pl
import pytest

from stages.lib import shards
from stages.lib.io import tables
from stages.lib.io.cli import UserError
from stages.lib.probing import crossings, probe
from stages.lib.probing.config import ProbesConfig
from stages.transfer import __main__ as stage
from stages.transfer import bag_of_words, best, divergence, forms, layers, measured, sample
from stages.transfer.config import TransferConfig
from stages.transfer.estimators import METHODS
from stages.transfer.fits import Fits
from stages.transfer.metrics import Crossing, Method
from tests.intervals import there
from tests.transfer.test_estimators import table

PERSONAS = ("neutral", "honest", "liar")
D, N_LAYERS, READ, SPLITS = 12, 6, 2, 4  # truth is read from 2 on, the liar splits at 4
SETTINGS = TransferConfig(tuple(METHODS), permutations=19, seed=0)
LOGISTIC = ProbesConfig(1.0, 1000, permutations=0, seed=0)
TABLE = table(96)
N_REPORT = 192
LABELS = TABLE["label"].to_numpy()


def selected(rows):
    """Subjects of the split that is fitted on; each family has as many."""
    return np.array([int(s[1:]) // 4 % 2 == 0 for s in rows["subject"]])


def activations(turn=0.0, seed=0, truth=3.0, flipping=0.0):
    """Residual streams (personas, n, layers, d): truth on axis 0 from layer 2 on.

    From layer 4 on the liar has it at this cosine to axis 0.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(3, 1, (len(PERSONAS), len(LABELS), N_LAYERS, D))
    x[:, :, 0] = rng.normal(size=D)  # every prompt ends alike
    sign = np.where(LABELS, 1.0, -1.0)
    told = truth * sign
    polarity = np.where(forms.read(TABLE).negated, -1.0, 1.0)
    for p, layer in np.ndindex(len(PERSONAS), N_LAYERS):
        if layer < READ:
            continue
        cosine = turn if p == 2 and layer >= SPLITS else 1.0
        x[p, :, layer, 0] += cosine * told
        x[p, :, layer, 1] += np.sqrt(1 - cosine**2) * told
        x[p, :, layer, 2] += flipping * sign * polarity
    return x.astype(np.float32)


def drawn(rows=TABLE, known=True):
    labels, subjects = rows["label"].to_numpy(), rows["subject"].to_numpy()
    design = probe.design(labels, subjects, selected(rows), np.full(len(rows), known))
    return sample.draw(design, forms.read(rows), SETTINGS, LOGISTIC)


def actual(x, one):
    swept = layers.sweep((x[:, :, i] for i in range(x.shape[2])), one, x.shape[2], n_jobs=1)
    at = best.examine(lambda i: x[:, :, i], one, layers.best(swept), n_jobs=1)
    return Fits(swept, at, one, PERSONAS)


def methods(of: Fits) -> dict[str, dict[str, Method]]:
    """By method and persona, where all could be fitted."""
    told = measured.methods(of)
    return {name: {p: there(one) for p, one in row.items()} for name, row in told.items()}


@pytest.fixture(scope="module")
def result():
    return actual(activations(), drawn())


def test_every_method_is_best_where_truth_is_and_at_chance_before(result):
    told = methods(result)
    assert set(told) == set(METHODS)
    for personas in told.values():
        for entry in personas.values():
            assert entry.layer >= READ
            assert there(entry.accuracy.low) > 0.9
            assert entry.accuracy.n == len(result.sample.truth) == N_REPORT
    before = result.layers.correct[:READ].mean(axis=-1)
    assert np.abs(before - 0.5).max() < 0.15


def test_permuted_labels_are_at_chance_and_keep_the_labels_of_each_split(result):
    for method, personas in methods(result).items():
        control = personas["honest"].permuted
        if method == "ccs":  # labels decide its sign alone
            assert control is None
            continue
        control = there(control)
        assert control.p == pytest.approx(1 / 20)
        assert abs(control.mean - 0.5) < 0.05
        assert control.max < 0.7
    topic = result.sample.selection_forms.topic
    for row in result.sample.permuted[0]:
        assert (row != result.sample.y).any()
        for name in np.unique(topic):
            assert row[topic == name].sum() == result.sample.y[topic == name].sum()
    assert np.abs(result.layers.permuted.mean(axis=-1) - 0.5).max() < 0.06


def test_a_fit_on_permuted_labels_finds_truth_where_it_is_the_loudest_axis():
    x = activations()
    x[:, :, READ:, 0] *= 20
    entry = methods(actual(x, drawn()))["mass_mean"]["honest"]
    spread, control = there(entry.fit_on_permuted), there(entry.permuted)
    assert spread.max > 0.95
    assert spread.min < 0.05
    assert control.max < 0.7
    assert control.p == pytest.approx(1 / 20)


def test_transfer_between_personas_follows_their_directions(result):
    told = methods(result)["mass_mean"]
    assert there(told["honest"].transfer["neutral"].low) > 0.9
    assert told["honest"].transfer["liar"].n == N_REPORT
    opposite = actual(activations(turn=-1.0)[:, :, SPLITS:], drawn())
    turned = methods(opposite)["mass_mean"]["honest"]
    assert there(turned.transfer["liar"].high) < 0.1


def test_polarity_is_told_where_truth_turns_with_it():
    result = actual(activations(truth=1.5, flipping=5.0)[:, :, READ:], drawn())
    told = methods(result)
    for method in ("logistic", "mass_mean"):
        polarity = told[method]["honest"].polarity
        assert there(polarity["plain"]["plain"].low) > 0.9
        assert there(polarity["plain"]["negated"].high) < 0.3
        assert there(polarity["negated"]["plain"].high) < 0.3
        topics = told[method]["honest"].topics
        assert there(topics["negation"].high) < 0.4 < 0.9 < there(topics["own"].low)
    polarity = told["ttpd"]["honest"].polarity
    assert set(polarity) == {"both"}
    assert min(there(rate.low) for rate in polarity["both"].values()) > 0.7
    steady = methods(actual(activations()[:, :, READ:], drawn()))["logistic"]["honest"]
    assert there(steady.polarity["plain"]["negated"].low) > 0.9
    assert there(steady.topics["negation"].low) > 0.8


def test_the_divergence_layer_is_planted_and_its_interval_covers_it(result):
    told = measured.divergences(result)
    for method in ("mass_mean", "mass_mean_corrected"):
        pair = told[method]["honest"]["liar"]
        assert pair.layers == N_LAYERS - READ
        split = pair.divergence_layer
        assert split.value == SPLITS - 1  # index i is the output of layer i - 1
        assert there(split.low) <= SPLITS - 1 <= there(split.high)
        assert split.never == 0
        same = told[method]["neutral"]["honest"].divergence_layer
        assert same == Crossing(None, None, None, 1.0, always_below=False)
    assert told["logistic"]["honest"]["liar"].divergence_layer.value == SPLITS - 1
    assert told["logistic"]["honest"]["liar"].divergence_layer.low is None


def test_directions_that_turn_round_part_turn_and_are_opposite_at_once():
    told = measured.divergences(actual(activations(turn=-0.9), drawn()))["mass_mean"]["honest"][
        "liar"
    ]
    assert {getattr(told, name).value for name in divergence.LEVELS} == {SPLITS - 1}
    told = measured.divergences(actual(activations(turn=-0.2), drawn()))["mass_mean"]["honest"][
        "liar"
    ]
    assert told.turning_layer.value == SPLITS - 1
    assert told.opposite_layer.value is None


def test_a_fall_that_some_draws_miss_has_no_upper_end():
    rng = np.random.default_rng(0)
    value = np.array([0.9, 0.9, 0.45])
    draws = value[:, None] + rng.normal(0, [[0.01], [0.01], [0.05]], (3, 2000))
    readable = np.ones(3, bool)
    split = divergence.measure(value, draws, readable, 100).divergence_layer
    assert (split.value, split.low, split.high) == (1, 1, None)
    assert 0.1 < there(split.never) < 0.25
    assert not split.always_below
    rising = divergence.measure(value[::-1], draws[::-1], readable, 100).divergence_layer
    assert (rising.value, rising.always_below) == (None, False)
    low = divergence.measure(value - 0.5, draws - 0.5, readable, 100).divergence_layer
    assert (low.value, low.always_below) == (None, True)
    # What starts below has not fallen, and layers where nothing is read do not count.
    assert crossings.first_below(value[::-1, None], readable, 0.5) == np.inf
    assert crossings.first_below(value[:, None], np.array([True, True, False]), 0.5) == np.inf


def test_a_draw_of_subjects_is_a_fit_on_their_statements():
    x = activations()[:, :, 3].astype(float)
    one = drawn()
    rows = one.design.selection
    subjects, y = one.design.subjects[rows], one.y
    weights = divergence.draws(subjects, np.random.default_rng(0))[:3]
    assert (weights[0] == 1).all()
    cosines = divergence.cosines(x[:, rows], y, subjects, weights)
    names = np.unique(subjects)
    for draw, counts in enumerate(weights):
        taken = np.concatenate(
            [
                np.repeat(np.flatnonzero(subjects == s), c)
                for s, c in zip(names, counts, strict=True)
            ]
        )
        means = [
            x[p, rows[taken]][y[taken]].mean(axis=0) - x[p, rows[taken]][~y[taken]].mean(axis=0)
            for p in range(3)
        ]
        unit = [m / np.linalg.norm(m) for m in means]
        expected = [unit[0] @ unit[1], unit[0] @ unit[2], unit[1] @ unit[2]]
        np.testing.assert_allclose(cosines[:, draw], expected, atol=1e-5)


def test_cosines_are_the_same_for_more_subjects_than_features():
    """Products of subjects' sums are taken where these are few: features that never vary add some."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 60, 8)), random.random(60) < 0.5
    subjects = np.arange(60) % 30
    weights = divergence.draws(subjects, random)
    wide = np.concatenate([x, np.zeros((2, 60, 60))], axis=2)
    for corrected in (False, True):
        many, few = (divergence.cosines(z, y, subjects, weights, corrected) for z in (x, wide))
        np.testing.assert_allclose(many, few, atol=1e-5)
        assert np.unique(many).size > len(weights) / 2


def test_the_first_draw_is_the_direction_that_was_fitted(result):
    for name, how in (("mass_mean", 0), ("mass_mean_corrected", 1)):
        directions = result.layers.directions[READ:, list(METHODS).index(name)]
        expected = np.einsum("ld,ld->l", directions[:, 1], directions[:, 2])
        np.testing.assert_allclose(result.layers.cosines[READ:, how, 2, 0], expected, atol=1e-4)


def test_words_tell_where_one_leaks_and_nothing_where_the_design_is_balanced():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2 == 0
    text = np.array([f"subject{i // 2} is {rng.choice(['big', 'small'])}" for i in range(400)])
    leaky = np.where(labels, np.char.add(text, " indeed"), text)
    fitted, scored = np.arange(200), np.arange(200, 400)
    assert bag_of_words.right(leaky, labels, fitted, scored).mean() == 1
    assert abs(bag_of_words.right(text, labels, fitted, scored).mean() - 0.5) < 0.12
    assert np.isnan(bag_of_words.right(text, np.ones_like(labels), fitted, scored)).all()


def test_statements_without_negations_leave_nulls_and_nothing_else():
    rows = table(192, negated=False)
    told = measured.methods(actual(activations()[:, :, READ : READ + 2], drawn(rows)))
    assert told["ccs"] == told["ttpd"] == dict.fromkeys(PERSONAS)
    polarity = there(told["mass_mean"]["honest"]).polarity
    assert polarity["plain"]["negated"].n == 0
    assert polarity["negated"]["negated"].value is None


def test_the_numbers_do_not_depend_on_processes(result):
    x = activations()
    again = layers.sweep((x[:, :, i] for i in range(N_LAYERS)), drawn(), N_LAYERS, n_jobs=2)
    for name, array in vars(again).items():
        np.testing.assert_array_equal(array, getattr(result.layers, name))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Files of the stage, one statement a row of TABLE."""
    monkeypatch.chdir(tmp_path)
    settings = {"methods": list(METHODS), "permutations": 2, "seed": 0}
    logistic = {"regularisation": 1.0, "max_iter": 1000, "permutations": 0, "seed": 0}
    config = {"personas": list(PERSONAS), "probes": logistic, "transfer": settings}
    (tmp_path / "params.yaml").write_text(json.dumps(config))
    ids = [f"{i:04d}" for i in range(len(TABLE))]
    statements = TABLE.with_columns(
        statement_id=pl.Series(ids),
        statement=pl.concat_str("subject", pl.lit(" "), "object", pl.lit(" "), "template"),
        split=pl.Series(np.where(selected(TABLE), "selection", "report")),
        origin=pl.lit("test"),
    )
    tables.write(tmp_path / "s.parquet", statements, tables.STATEMENTS, ["statement_id"])

    def run(known=True, x=None, name="out"):
        table = pl.DataFrame({"statement_id": ids, "known": [known] * len(ids)})
        tables.write(tmp_path / "k.parquet", table, tables.KNOWN, ["statement_id"])
        for persona, array in zip(PERSONAS, activations() if x is None else x, strict=True):
            about = {"statement_ids": ids, "positions": [-1], "n_layers": N_LAYERS - 1}
            with shards.writer(tmp_path / "a" / persona, about | {"n_heads": 1}) as writer:
                writer.append({"resid_post": array[:, None]})
        out = tmp_path / name
        stage.main(tmp_path / "s.parquet", tmp_path / "a", tmp_path / "k.parquet",
                   out / "transfer.json", out)  # fmt: skip
        return {file.stem: json.loads(file.read_text()) for file in out.iterdir()}

    return run


def test_stage_writes_every_table_and_the_same_bytes_again(project, tmp_path):
    made = project()
    assert set(made) == {"transfer", "layers", "personas", "topics", "polarity", "cosine",
                         "cosine_topics", "cosine_layers"}  # fmt: skip
    assert (
        made["transfer"]["divergence"]["mass_mean"]["honest"]["liar"]["divergence_layer"]["value"]
        == 3
    )
    assert made["transfer"]["bag_of_tokens"]["all"]["n"] == N_REPORT
    assert len(made["layers"]) == (5 + 1) * 3 * N_LAYERS
    assert len(made["personas"]) == 5 * 9
    words = [row for row in made["topics"] if row["method"] == "bag_of_tokens"]
    assert {row["persona"] for row in words} == {"statement text"}
    fits = {row["fit"] for row in made["topics"] if row["method"] == "ttpd"}
    assert "topic0 + neg_topic0" in fits
    assert "topic0" not in fits
    project(name="again")
    for file in (tmp_path / "out").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


def test_a_model_that_knows_nothing_is_probed_on_all_statements(project):
    made = project(known=False)["transfer"]
    assert made["statements"] == "all"
    assert made["methods"]["logistic"]["honest"]["accuracy"]["n"] == N_REPORT


def test_activations_that_never_vary_leave_chance_and_nulls(project):
    made = project(x=np.ones_like(activations()))
    assert {row["cosine"] for row in made["cosine"]} == {None}
    split = made["transfer"]["divergence"]["mass_mean"]["honest"]["liar"]["divergence_layer"]
    assert split["value"] is None
    assert all(abs(row["accuracy"] - 0.5) < 0.01 for row in made["layers"])


@pytest.mark.parametrize("layer", [2, N_LAYERS - 1])
def test_activations_that_are_not_numbers_are_refused(layer, project):
    x = activations()
    x[1, 3, layer] = np.nan
    with pytest.raises(UserError, match=f"honest: resid_post of layer {layer} is not finite"):
        project(x=x)
