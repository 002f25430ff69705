"""Controls of a transplant: what carries honesty, what carries the answer, and which is which."""

import numpy as np
import polars as pl
import pytest
import torch

from stages.controls import controls, donors, mean_ablation, schema, scores
from stages.lib import forward, stats
from stages.lib.patching import patch, patched_runs
from stages.lib.patching.layer_window import Window
from stages.lib.patching.patch import Head
from stages.lib.stats import run_points
from tests import planted, tiny
from tests.intervals import ends, there

HONESTY = Head(tiny.PLANTED_LAYER, tiny.PLANTED_HEAD)
ANSWER = Head(3, 1)


def accuracies(setting, head, window):
    runs = controls.runs(setting, [head], window, setting.pairs)
    return {name: accuracy(setting.pairs, runs, name) for name in schema.RUNS}, runs


def accuracy(actual, runs, name):
    p = patched_runs.probabilities(runs, run=name)
    own = actual.only(runs.filter(pl.col("run") == name)["statement_id"])
    return planted.accuracy(p, own.label)


@pytest.fixture(scope="module")
def honesty():
    """A model in which the head carries the persona, the same for all statements."""
    return planted.experiment(tiny.planted_model())


@pytest.fixture(scope="module")
def answer():
    """A model in which the head carries what is to be said of the statement."""
    return planted.experiment(planted.verdict_model())


def test_where_honesty_is_moved_its_mean_works_and_the_donors_label_does_not_matter(honesty):
    actual, runs = accuracies(honesty, HONESTY, Window(0, 1))
    assert actual == {
        "source": 1.0,
        "patched": 1.0,
        "base": 0.0,
        "rest_of_layers": 0.0,
        "rest_of_window": 0.0,
        "reverse": 0.0,
        "reverse_rest": 1.0,
        "mean_ablation_selection": 1.0,
        "mean_ablation_report": 1.0,
        "same_label": 1.0,
        "other_label": 1.0,
        "base_other_label": 0.0,
    }
    summary = scores.summarise(honesty.pairs, runs)
    by_label = summary.by_label
    assert {(run.true.value, run.false.value) for run in by_label.values()} == {(1, 1), (0, 0)}
    assert by_label["base"].true.value == 0.0
    follows = summary.follows_donor
    assert {name: rate.value for name, rate in follows.items()} == {
        "same_label": 1.0,
        "other_label": 0.0,
        "base_other_label": 1.0,  # a lie about the statement is the donor's label: says nothing
    }


def test_where_the_answer_is_moved_its_mean_fails_and_the_donors_label_is_followed(answer):
    actual, runs = accuracies(answer, ANSWER, Window(2, 3))
    assert actual == {
        "source": 1.0,
        "patched": 1.0,
        "base": 0.0,
        "rest_of_layers": 0.0,
        "rest_of_window": 0.0,
        "reverse": 0.0,
        "reverse_rest": 1.0,
        "mean_ablation_selection": 0.5,
        "mean_ablation_report": 0.5,
        "same_label": 1.0,
        "other_label": 0.0,
        "base_other_label": 1.0,  # the donor's lie is this statement's p_correct
    }
    follows = scores.summarise(answer.pairs, runs).follows_donor
    assert follows["other_label"].value == 1.0
    assert follows["base_other_label"].value == 0.0


def test_the_same_model_moves_honesty_in_the_head_that_carries_it(answer):
    """It is the head, not the model, that the controls tell about."""
    actual, _ = accuracies(answer, HONESTY, Window(0, 1))
    assert (actual["patched"], actual["mean_ablation_selection"], actual["other_label"]) == (
        1.0,
        1.0,
        1.0,
    )
    assert actual["base_other_label"] == 0.0


def test_the_difference_to_the_true_patch_is_paired(answer):
    _, runs = accuracies(answer, ANSWER, Window(2, 3))
    result = scores.summarise(answer.pairs, runs)
    other = result.patched_minus["other_label"].accuracy
    unseen = there(stats.rate(np.zeros(12), answer.pairs.subject).high)
    both = float(np.hypot(unseen, unseen))
    assert ends(other) == pytest.approx((1, 1 - both, 1))
    same = result.patched_minus["same_label"].accuracy
    assert same.value == 0.0
    assert there(result.patched_minus["other_label"].p_correct.low) > 0.5
    others = {"source", "patched", "reverse", "reverse_rest"}
    assert set(result.patched_minus) == set(result.runs) - others
    lied = result.reverse_minus_rest["accuracy"]
    assert ends(lied) == pytest.approx((-1, -1, both - 1))


def test_the_rest_of_the_window_is_the_set_where_the_set_is_the_rest(honesty):
    """The inverse: heads beside the planted one do nothing, and what is left of them does all."""
    beside = [Head(1, 0), Head(1, 1), Head(1, 3)]
    runs = controls.runs(honesty, beside, Window(0, 1), honesty.pairs)
    actual = {name: accuracy(honesty.pairs, runs, name) for name in schema.RUNS}
    assert (actual["patched"], actual["rest_of_layers"], actual["rest_of_window"]) == (
        0.0,
        1.0,
        1.0,
    )
    assert (actual["reverse"], actual["reverse_rest"]) == (1.0, 0.0)
    sizes = scores.summarise(honesty.pairs, runs).n_heads
    assert (sizes["patched"], sizes["rest_of_layers"], sizes["rest_of_window"]) == (3, 1, 5)


def test_a_set_of_the_whole_window_has_no_control_of_other_heads(honesty):
    """Nothing would be patched, and the unpatched run would support each claim."""
    runs = controls.runs(honesty, [Head(1, head) for head in range(4)], Window(1, 1), honesty.pairs)
    result = scores.summarise(honesty.pairs, runs)
    missing = {"rest_of_layers", "rest_of_window", "reverse_rest"}
    assert set(result.runs) == set(schema.RUNS) - missing
    assert missing.isdisjoint(result.patched_minus)
    assert result.reverse_minus_rest == {}
    assert scores.points(honesty.pairs, runs, [run_points.ALL], planted.CONFIG)


def test_without_a_set_or_statements_only_unpatched_runs_are_there(honesty):
    window = Window(0, 1)
    runs = controls.runs(honesty, [], None, honesty.pairs)
    assert runs["run"].unique(maintain_order=True).to_list() == ["source", "base"]
    assert set(scores.summarise(honesty.pairs, runs).runs) == {"source", "base"}
    nobody = planted.pairs(honesty.lm.tokenizer, n=0)
    empty = planted.experiment(tiny.planted_model(), nobody)
    runs = controls.runs(empty, [HONESTY], window, nobody)
    result = scores.summarise(nobody, runs)
    assert result.runs["base"] == run_points.Point(None, None, None, 0, None, None, None)
    assert result.patched_minus == result.reverse_minus_rest == {}
    assert result.follows_donor == {}
    points = scores.points(nobody, runs, [run_points.ALL, "even"], planted.CONFIG)
    assert {point["value"] for point in points} == {None}
    assert [point["run"] for point in points] == ["source", "base"] * 2
    assert runs.is_empty()


def test_z_that_is_lent_is_that_of_a_run_of_the_donors_prompt(answer):
    _, runs = accuracies(answer, ANSWER, Window(2, 3))
    run = runs.filter(pl.col("run") == "other_label")
    actual = answer.pairs
    assert run["statement_id"].to_list() == actual.table["statement_id"].to_list()
    prompts = dict(zip(actual.table["statement_id"], actual.source, strict=True))
    patcher = forward.Patcher(
        answer.lm, answer.answers, actual.base, [prompts[name] for name in run["donor"]], 20
    )
    patched = patcher(patch.of_heads([[ANSWER]], 5, 4), "test").patched[0]
    np.testing.assert_allclose(run.select("p_true", "p_false").to_numpy(), patched, atol=1e-6)


@pytest.mark.parametrize("at_once", [1, 5])
def test_a_few_statements_at_a_time_give_the_runs_of_all_at_once(answer, monkeypatch, at_once):
    """Donors of other parts are run beside a part, and have no rows there."""
    window = Window(2, 3)
    _, whole = accuracies(answer, ANSWER, window)
    monkeypatch.setattr(controls, "AT_ONCE", at_once)
    _, parts = accuracies(answer, ANSWER, window)
    key = ["run", "statement_id"]
    assert len(whole) == len(schema.RUNS) * len(answer.pairs.table)
    assert parts.sort(key).equals(whole.sort(key))


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_parts_have_each_statement_once_and_its_partners(at_once):
    random = np.random.default_rng(1)
    rows = table(
        label=random.random(50) < 0.5,
        subject=random.integers(0, 3, 50).astype(str),
        topic=random.choice(["a", "b", "c"], 50),
    )
    parts = list(donors.parts(rows, at_once))
    assert sorted(np.concatenate([part.own for part in parts])) == list(range(50))
    assert max(len(part.own) for part in parts) <= at_once
    for same in (True, False):
        expected = donors.donor_rows(rows, same)
        for part in parts:
            own = np.isin(part.rows, part.own)
            partner = part.donor_rows[same]
            assert (partner[~own] == -1).all()
            given = np.where(partner >= 0, part.rows[partner], -1)[own]
            assert given.tolist() == expected[part.own].tolist()


def test_most_partners_are_in_the_part_of_their_statement():
    rows = table(label=[True, False] * 200, subject=[str(i) for i in range(400)])
    for part in donors.parts(rows, 32):
        assert len(part.rows) <= len(part.own) + 4


def test_the_mean_is_that_of_z_whatever_is_held_at_a_time(honesty, monkeypatch):
    monkeypatch.setattr(mean_ablation, "AT_ONCE", 5)
    actual = mean_ablation.mean_z(honesty, honesty.pairs)
    _, source = honesty.patcher().z("test")
    assert actual.shape == (5, 1, 20, 4, 16)
    torch.testing.assert_close(actual, source.mean(dim=1, keepdim=True), atol=1e-6, rtol=1e-5)


def table(**columns):
    n = len(columns["label"])
    return pl.DataFrame({"topic": ["a"] * n, "split": ["report"] * n} | columns)


@pytest.mark.parametrize("same", [True, False])
def test_partners_are_of_the_split_and_the_label_and_about_another_subject(same):
    random = np.random.default_rng(0)
    rows = table(
        label=random.random(200) < 0.5,
        subject=random.integers(0, 30, 200).astype(str),
        topic=random.choice(["a", "b"], 200),
        split=random.choice(["selection", "report"], 200),
    )
    partner = donors.donor_rows(rows, same)
    assert (partner >= 0).all()
    other = rows[partner]
    assert (other["topic"] == rows["topic"]).all()
    assert (other["split"] == rows["split"]).all()
    assert (other["subject"] != rows["subject"]).all()
    assert ((other["label"] == rows["label"]) == same).all()
    assert np.bincount(partner).max() <= 4  # nobody is everyone's


def test_who_has_no_partner_has_none():
    rows = table(label=[True, True, False], subject=["x", "x", "y"])
    assert donors.donor_rows(rows, True).tolist() == [-1, -1, -1]
    assert donors.donor_rows(rows, False).tolist() == [2, 2, 1]
    assert donors.donor_rows(rows.clear(), True).tolist() == []


def test_a_statement_without_a_donor_counts_nowhere(honesty):
    table = honesty.pairs.table.with_columns(
        subject=pl.when(pl.col("label")).then(pl.lit("one")).otherwise(pl.col("subject"))
    )
    setting = planted.experiment(
        tiny.planted_model(), type(honesty.pairs)(table, honesty.pairs.source, honesty.pairs.base)
    )
    _, runs = accuracies(setting, HONESTY, Window(0, 1))
    result = scores.summarise(setting.pairs, runs)
    assert result.runs["same_label"].n == result.follows_donor["same_label"].n == 6
    assert result.patched_minus["same_label"].accuracy.n == 6
    assert result.runs["other_label"].n == 12
    assert len(runs.filter(pl.col("run") == "same_label")) == 6
    lent = runs.filter(pl.col("run") == "other_label")
    assert (lent["donor"] != lent["statement_id"]).all()
    assert (lent["donor"] != "").all()
