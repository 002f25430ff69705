"""Stage `probes`: tables and metrics of probes, and the files that it writes."""

import json

import numpy as np
import polars as pl
import pytest

from stages.lib import shards
from stages.lib.io import arrays, tables
from stages.lib.io.cli import UserError
from stages.lib.probing import probe
from stages.lib.probing.config import ProbesConfig
from stages.lib.stats import NOTHING, plot_rows
from stages.probes import __main__ as stage
from stages.probes import probe_tables
from stages.probes.metrics import BestHead, BestLayer, Fall
from tests.intervals import ends, of_type, there
from tests.lib.probing.test_probe import (
    D_HEAD,
    D_MODEL,
    LABELS,
    N_HEADS,
    N_LAYERS,
    PERSONAS,
    PLANTED,
    SELECTED,
    SETTINGS,
    SUBJECT,
    SUBJECTS,
    N,
    activations,
    design,
    survey,
)

pytestmark = pytest.mark.filterwarnings("error")  # above all: every fit converges


@pytest.fixture(scope="module")
def result():
    return survey(activations(), design())


def test_no_permutations_no_control():
    none = ProbesConfig(1.0, 1000, permutations=0, seed=0)
    result = survey(activations(), design(), none)
    rows = probe_tables.layers(result, PERSONAS, design())
    permuted = [row for row in rows if row["labels"] == "permuted"]
    assert {(row["accuracy"], row["n"]) for row in permuted} == {(None, 0)}


def test_what_does_not_vary_has_no_direction(result):
    assert not result["resid_post"].directions[0].any()
    assert np.isnan(probe.cosines(result["resid_post"].directions)[0]).all()
    assert np.abs(result["resid_post"].intercepts[0]).max() < 1  # not a rounding error's inverse
    rows = probe_tables.cosine(result, PERSONAS)
    assert next(row["cosine"] for row in rows if row["site"] == "resid_post") is None


def test_one_label_gives_null_and_no_crash():
    made = design(labels=np.ones(N, dtype=bool))
    result = survey(activations(), made)
    assert not made.fittable
    assert np.isnan(result["z"].directions).all()
    rows = probe_tables.layers(result, PERSONAS, made)
    assert len(rows) == (N_LAYERS + N_LAYERS + 1) * 2 * 9
    assert {(row["accuracy"], row["low"], row["n"]) for row in rows} == {(None, None, 0)}
    assert {row["accuracy"] for row in probe_tables.heads(result, PERSONAS, made)} == {None}
    assert {row["cosine"] for row in probe_tables.cosine(result, PERSONAS)} == {None}
    best = probe_tables.best(result, PERSONAS, made)
    assert best["z"]["honest"]["liar"] == BestHead(None, NOTHING, NOTHING, NOTHING, None)


def test_one_subject_in_a_part_is_fitted_but_chooses_nothing():
    selected = SUBJECT == 0
    made = probe.design(LABELS, SUBJECT, selected, np.zeros(N, dtype=bool))
    assert made.fittable
    assert made.folds == ()
    result = survey(activations(), made)
    assert probe_tables.best(result, PERSONAS, made)["z"]["honest"]["honest"].layer is None
    assert result["z"].correct.shape[-1] == N - 2
    nobody = probe.design(LABELS, SUBJECT, np.ones(N, dtype=bool), np.zeros(N, dtype=bool))
    rows = probe_tables.layers(survey(activations(), nobody), PERSONAS, nobody)
    assert {(row["accuracy"], row["n"]) for row in rows} == {(None, 0)}


def test_best_place_is_the_planted_one_with_its_control(result):
    best = probe_tables.best(result, PERSONAS, design())
    entry = of_type(BestHead, best["z"]["honest"]["honest"])
    assert (entry.layer, entry.head) == PLANTED
    entry = best["resid_post"]["honest"]["honest"]
    assert type(entry) is BestLayer
    assert entry.layer in (2, 3)
    assert there(entry.accuracy.value) > 0.95
    assert entry.accuracy.n == N // 2
    assert there(entry.permuted.value) < 0.8
    # an inverted direction is wrong everywhere that it reads: the best transfer is no transfer
    assert there(best["z"]["honest"]["liar"].held_out.value) < 0.65


def test_probes_by_layer_are_those_of_the_stream_with_true_labels(result):
    rows = probe_tables.layers(result, PERSONAS, design())
    table = probe_tables.by_layer(rows)
    wanted = [row for row in rows if row["site"] == "resid_post" and row["labels"] == "true"]
    assert sum(len(of) for fit in table.values() for of in fit.values()) == len(wanted)
    for row in wanted:
        fit, scored, layer = (str(row[name]) for name in ("fit", "scored", "layer"))
        assert table[fit][scored][layer].value == row["accuracy"]


def test_z_row_is_the_mean_over_heads(result):
    rows = probe_tables.layers(result, PERSONAS, design())
    heads = probe_tables.heads(result, PERSONAS, design())
    for layer in range(N_LAYERS):
        (row,) = (
            row
            for row in rows
            if (row["site"], row["labels"], row["fit"], row["scored"], row["layer"])
            == ("z", "true", "honest", "honest", layer)
        )
        of_layer = [
            there(plot_rows.number(head, "accuracy"))
            for head in heads
            if (head["fit"], head["scored"], head["layer"]) == ("honest", "honest", layer)
        ]
        value, low, high = ends(plot_rows.interval(row, "accuracy"))
        assert value == pytest.approx(np.mean(of_layer))
        assert low < value < high


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
    assert entry == Fall(layer, counted)


def test_a_cosine_between_noise_is_no_fall():
    curve, reads, noise = [0.9, 0.2, 0.9, 0.8, 0.2], [0.6] * 5, [0.6, 0.5, 0.4, 0.6, 0.6]
    assert fall(curve, reads, reads) == Fall(1, 5)
    assert fall(curve, reads, noise) == Fall(4, 3)
    assert fall(curve, noise, reads) == Fall(4, 3)
    assert fall(curve, [None] * 5, reads) == Fall(None, 0)


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
    splits = np.where(SELECTED, "selection", "report")
    statements = pl.DataFrame({"statement_id": ids}).with_columns(
        topic=pl.lit("cities"),
        statement=pl.Series([f"Statement {i}." for i in range(N)]),
        label=pl.Series(LABELS),
        subject=pl.Series([f"city {i}" for i in SUBJECT]),
        object=pl.lit(""),
        template=pl.lit(""),
        split=pl.Series(splits.tolist()),
        origin=pl.lit("built-in"),
    )
    known = pl.DataFrame({"statement_id": ids}).with_columns(known=pl.lit(False))
    tables.write(tmp_path / "statements.parquet", statements, tables.STATEMENTS, ["statement_id"])
    tables.write(tmp_path / "known.parquet", known, tables.KNOWN, ["statement_id"])
    write_activations(tmp_path / "activations", activations(), ids)
    return tmp_path


def write_activations(folder, arrays, ids):
    """Shards for every persona, in two uneven splits, at one position."""
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
                split = {site: array[persona, rows][:, None] for site, array in arrays.items()}
                writer.append(split)


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


def test_stage_writes_directions_metrics_and_plots(project, result):
    run(project)
    with arrays.opened(project / "probes" / "directions.safetensors") as (facts, tensors):
        assert facts == {"personas": list(PERSONAS)}
    z, resid = tensors["z"], tensors["resid_post"]
    intercepts = tensors["z_intercept"], tensors["resid_post_intercept"]
    assert z.shape == (3, N_LAYERS, N_HEADS, D_HEAD)
    assert resid.shape == (3, N_LAYERS + 1, D_MODEL)
    assert [one.shape for one in intercepts] == [(3, N_LAYERS, N_HEADS), (3, N_LAYERS + 1)]
    assert z.dtype == resid.dtype == np.float32
    np.testing.assert_array_equal(z[1, 1, 1], result["z"].directions[1, 1, 1])
    np.testing.assert_array_equal(resid[2, 3], result["resid_post"].directions[3, 0, 2])

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
    for name, columns in expected.items():
        rows = tables.read_json(project / "plots" / f"{name}.json")
        assert all(list(row) == columns for row in rows)
    rows = tables.read_json(project / "plots" / "cosine.json")
    pairs = {(row["first"], row["second"]) for row in rows}
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
