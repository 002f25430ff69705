"""Accuracy on taught subjects and on others: who is who, and what is counted."""

import json
from dataclasses import replace

import polars as pl
import pytest

from stages.lib.claim import NOT_SUPPORTED, SUPPORTED
from stages.lib.facts import TOPICS
from stages.lib.facts.draw import Draw
from stages.lib.facts.taught import pairs
from stages.lib.io import records, tables
from stages.lib.io.cli import UserError
from stages.lib.patching import patched_runs
from stages.lib.stats import Interval
from stages.lib.weights import recipe
from stages.lib.weights.recipe import Training
from stages.taught import __main__ as stage
from stages.taught.metrics import NEW, TAUGHT, TaughtMetrics

TRAINING = Training(
    topics=("capitals",), seed=0, held_out=0.3, trees=1, statements=1, check_every=1
)
SUBJECTS = [f"country {i}" for i in range(60)]
HELD_OUT = {s for s in SUBJECTS if Draw(0, 0.3).split(s) == "report"}


def statements(topics=("capitals", "neg_capitals", "cities", "mine")):
    rows = [
        {"topic": topic, "statement": f"{topic}: {subject}.", "label": i % 2 == 0,
         "subject": subject, "object": "o", "template": "t", "origin": "o"}
        for topic in topics
        for i, subject in enumerate(SUBJECTS)
    ]  # fmt: skip
    return Draw(0, 0.5).table(rows)


def answers(about, right):
    """Answers that are right where `right` says so of the subject."""
    correct = pl.Series([right(subject) for subject in about["subject"]])
    p = pl.select(pl.when(correct == about["label"]).then(0.9).otherwise(0.1)).to_series()
    p = p.cast(pl.Float32)
    return about.select("statement_id").with_columns(p_true=p, p_false=1 - p)


def test_subjects_are_kept_from_training_as_the_organism_draws_them():
    table = stage.split(statements(), [TRAINING])
    taught = table.filter(pl.col("topic").is_in(["capitals", "neg_capitals"]))
    assert set(taught.filter(kind=NEW)["subject"]) == HELD_OUT
    assert set(taught.filter(kind=TAUGHT)["subject"]) == set(SUBJECTS) - HELD_OUT
    for topic in ("cities", "mine"):  # a built-in one that no adapter was taught, and another one
        assert table.filter(topic=topic)["kind"].null_count() == len(SUBJECTS)


def test_what_either_adapter_taught_was_taught():
    """The lie may have been trained on other topics, or with other subjects held out."""
    other = replace(TRAINING, topics=("cities",), held_out=0.6)
    table = stage.split(statements(), [TRAINING, other])
    again = stage.split(statements(), [TRAINING, replace(TRAINING, seed=1)])
    held_out = HELD_OUT & {s for s in SUBJECTS if Draw(1, 0.3).split(s) == "report"}
    assert set(again.filter(topic="capitals", kind=NEW)["subject"]) == held_out < HELD_OUT
    assert set(table.filter(topic="capitals", kind=NEW)["subject"]) == HELD_OUT
    assert table.filter(topic="cities")["kind"].null_count() == 0
    assert table.filter(topic="mine")["kind"].null_count() == len(SUBJECTS)


def test_the_settings_are_those_of_the_adapter_whatever_params_say(tmp_path, monkeypatch):
    write(tmp_path, {"name": "middle", "layers": [2]})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "organisms/middle" / recipe.TRAINING).unlink()
    with pytest.raises(UserError, match="organisms/middle/training.json: no such file"):
        run(tmp_path)


def test_who_was_never_taught_is_in_the_report_split():
    table = stage.split(statements(), [TRAINING])
    assert set(table.filter(kind=NEW)["split"]) == {"report"}


@pytest.mark.parametrize(("knows_new", "accuracy"), [(True, 1.0), (False, 0.0)])
def test_accuracy_on_others_does_not_depend_on_those_who_were_taught(knows_new, accuracy):
    table = stage.split(statements(), [TRAINING])
    given = answers(table, lambda subject: knows_new or subject not in HELD_OUT)
    result = stage.score(stage.answered(table, given.sample(fraction=1, shuffle=True, seed=0)))
    assert result[TAUGHT].value == 1.0
    assert result[NEW].value == accuracy
    assert result[NEW].n == 2 * len(HELD_OUT)


def write(folder, organism):
    """What the stage reads, of a model that knows what it was taught alone."""
    about = statements()
    tables.write(folder / "statements.parquet", about, tables.STATEMENTS, ["statement_id"])
    about = tables.read(folder / "statements.parquet", tables.STATEMENTS)
    given = answers(about, lambda subject: subject not in HELD_OUT).with_columns(
        answer_mass=pl.lit(1.0, pl.Float32)
    )
    tables.write(folder / "readouts/liar.parquet", given, tables.READOUTS, ["statement_id"])
    named = {"source": "honest", "base": "liar", "patch_id": "p", "heads": [], "run": "patched"}
    runs = given.with_columns(
        **{key: pl.lit(value, stage.SCHEMA[key]) for key, value in named.items()}
    )
    order = ["statement_id", "run"]
    tables.write(folder / "runs.parquet", runs, stage.SCHEMA, order)
    (folder / "model").mkdir()
    (folder / "model/manifest.json").write_text(json.dumps({"organism": organism}))
    for name in (recipe.FACTS, "middle"):
        records.write(folder / "organisms" / name / recipe.TRAINING, TRAINING)
    (folder / "params.yaml").write_text(json.dumps({"personas": ["liar"]}))


def run(folder):
    stage.main(
        folder / "statements.parquet",
        folder / "readouts",
        folder / "model",
        folder / "runs.parquet",
        folder / "organisms",
        folder / "taught.json",
    )
    return json.loads((folder / "taught.json").read_text())


def test_the_stage_scores_personas_and_runs_on_the_report_split(tmp_path, monkeypatch):
    write(tmp_path, {"name": "middle", "layers": [2]})
    monkeypatch.chdir(tmp_path)
    result = run(tmp_path)
    assert result["organism"] == "middle"
    for of in (result["every"]["liar"], result["known"]["patched"]):
        assert (of[TAUGHT]["value"], of[NEW]["value"]) == (1.0, 0.0)
        assert of[NEW]["n"] == 2 * len(HELD_OUT)
    report = {s for s in SUBJECTS if Draw(0, 0.5).split(s) == "report"}
    assert result["every"]["liar"][TAUGHT]["n"] == 2 * len(report - HELD_OUT)
    assert result["known"]["reverse"][NEW]["n"] == 0


def test_of_another_model_nothing_is_said(tmp_path, monkeypatch):
    write(tmp_path, None)
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path) == {"every": {}, "known": {}, "organism": None}
    assert TaughtMetrics(None, {}, {}).claim() is None


def test_the_claim_is_of_those_who_were_never_taught():
    high, low = Interval(0.9, 0.8, 0.95, 50), Interval(0.1, 0.05, 0.2, 50)

    def of(new):
        runs = {"patched": new, "base": low, "reverse": low}
        known = {name: {TAUGHT: high, NEW: row} for name, row in runs.items()}
        claim = TaughtMetrics("middle", {}, known).claim()
        assert claim is not None
        return claim.verdict(lies=True)

    assert of(high) == SUPPORTED
    assert of(low) == NOT_SUPPORTED


def test_the_columns_are_those_of_the_table():
    assert set(patched_runs.SCHEMA) < set(stage.SCHEMA)


def test_a_city_that_is_taught_as_a_capital_was_taught():
    training = replace(TRAINING, topics=("capitals", "cities"), held_out=0.1)
    draw = Draw(0, 0.1)
    capitals, cities = (TOPICS[name]() for name in training.topics)
    capital_of = {next(iter(pair - {country})): country
                  for country, pair in pairs(capitals, capitals.subjects).items()}  # fmt: skip
    held = [city for city in cities.subjects if draw.split(city) == "report"]
    both = [c for c in held if c in capital_of and draw.split(capital_of[c]) == "selection"]
    assert 0 < len(both) < len(held)
    rows = [
        {"topic": topic, "statement": f"{topic}: {city}.", "label": True, "subject": city,
         "object": "o", "template": "t", "origin": "o"}
        for topic in ("cities", "neg_cities") for city in held
    ]  # fmt: skip
    table = stage.split(Draw(0, 0.5).table(rows), [training])
    assert set(table.filter(kind=TAUGHT)["subject"]) == set(both)
    assert set(table.filter(kind=NEW)["subject"]) == set(held) - set(both)
    alone = stage.split(Draw(0, 0.5).table(rows), [replace(training, topics=("cities",))])
    assert set(alone["kind"]) == {NEW}
