"""Sets chosen on one topic or wording: the planted head from any of them, and what they share."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import polars as pl
import pytest

from stages.lib.io.cli import UserError
from stages.lib.patching import patch
from stages.lib.patching.patch import Head
from stages.lib.stats import ranking
from stages.robustness import (
    head_sets,
    rewording,
    robustness,
    robustness_tables,
    scores,
    scores_overlap,
    scores_recovered,
    scores_runs,
    wordings,
)
from stages.robustness.head_sets import Singles
from stages.robustness.metrics import Overlap, Overlaps, ShuffledOverlap
from stages.robustness.wordings import DEFAULT, Rewording
from tests import chats, planted, tiny
from tests.intervals import of_type, span, there

PLANTED = Head(tiny.PLANTED_LAYER, tiny.PLANTED_HEAD)
EVERY = [Head(layer, head) for layer in (1, 2) for head in range(4)]
WORDING = Rewording(
    planted.QUESTION,
    planted.SYSTEMS["honest"],
    planted.PREFIX,
    planted.SYSTEMS["liar"],
    planted.PREFIX,
)
OTHER = {"asked": {"question": "is {statement} so", "prefix": "sure: it is"}}


@pytest.fixture(scope="module")
def setting():
    return planted.experiment(tiny.planted_model())


@pytest.fixture(scope="module")
def settings(setting):
    """Two wordings of the same statements."""
    (wording,) = wordings.named("here", OTHER, WORDING).values()
    actual = setting.pairs
    texts = {
        row["statement_id"]: ("file, row 1", planted.statement(row["label"], i))
        for i, row in enumerate(actual.table.to_dicts())
    }
    other = rewording.reworded("here", actual, texts, wording, setting.lm)
    return {DEFAULT: setting, "asked": replace(setting, pairs=other)}


def result(settings, heads, search=(PLANTED,)):
    """Rows of the runs, and what is counted; scored on the statements that sets were chosen on."""
    alone = {
        name: robustness.single_head_runs(name, each, heads) for name, each in settings.items()
    }
    sets = robustness.choose(alone, list(search), heads, DEFAULT)
    tried = [robustness.score(name, each, sets) for name, each in settings.items()]
    chosen = pl.concat([robustness_tables.single_rows(a, planted.CONFIG) for a in alone.values()])
    scored = pl.concat([robustness_tables.rows(one, sets, planted.CONFIG) for one in tried])
    about = settings[DEFAULT].pairs
    window = scores_runs.candidates(chosen)
    actual = scores_runs.sets_of(scored, window, list(settings))
    given = {name: scores_runs.answers(scored, actual, name, planted.CONFIG) for name in settings}
    points = scores.points(about, given, ["even", "odd"], planted.CONFIG)
    own = scores_runs.singles(about, chosen, window, planted.CONFIG)
    if len(about.table):
        assert window == heads
        assert [vars(one) | {"members": list(one.members)} for one in actual] == [
            vars(one) | {"members": list(one.members)} for one in sets
        ]
        expected = alone[DEFAULT].singles
        assert np.array_equal(own.gain, expected.gain)
        assert np.array_equal(own.topic, expected.topic)
    overlap = scores_overlap.numbers(actual, own, 20, seed=0)
    known = {"selection": about, "report": about}
    summary = scores.summarise(known, given, actual, window, overlap)
    return chosen, scored, actual, points, summary


def test_another_wording_gives_other_prompts_of_the_same_statements(settings):
    one, two = (each.pairs for each in settings.values())
    assert one.table.equals(two.table)
    for role in ("source", "base"):
        assert all(a != b for a, b in zip(getattr(one, role), getattr(two, role), strict=True))
    # and the default wording gives the default prompts
    texts = {
        key: ("file, row 1", planted.statement(i % 2 == 0, i))
        for i, key in enumerate(one.table["statement_id"])
    }
    again = rewording.reworded("here", one, texts, WORDING, settings[DEFAULT].lm)
    assert (again.source, again.base) == (one.source, one.base)


def test_every_split_and_wording_chooses_the_planted_head_and_it_works_on_all(settings):
    _, _, sets, points, summary = result(settings, EVERY)
    assert [(one.chosen_on, one.name) for one in sets] == [
        ("search", "heads"),
        ("topic", "even"),
        ("topic", "odd"),
        ("wording", DEFAULT),
        ("wording", "asked"),
    ]
    assert all(one.heads == [PLANTED] for one in sets)
    assert {row["jaccard"] for row in scores_overlap.pairs(sets)} == {1.0}
    expected = {"source": 1.0, "base": 0.0, "patched": 1.0, "reverse": 0.0}
    assert len(points) == 2 * (2 + 5 + 3) * 3  # wordings, runs, topics and all
    for point in points:
        assert point["accuracy"] == expected[str(point["run"])], point
    for kind in ("topic", "wording"):
        actual = summary.generalisation[kind]
        assert actual.on_diagonal.value == pytest.approx(1.0)
        assert actual.difference.value == pytest.approx(0.0, abs=1e-6)
        # statements, each of which has a row per wording
        assert actual.difference.n == max(int(str(point["n"])) for point in points)
    topic = of_type(ShuffledOverlap, summary.overlap.topic)
    assert topic.mean == there(summary.overlap.wording).mean == 1.0
    seed = there(summary.overlap.seed)
    assert (seed.mean, seed.low) == (1.0, 1.0)
    assert topic.shuffled.p_value == 1.0
    assert summary.overlap_by_chance == 1 / 8
    assert summary.sets["topic"]["even"].scored["asked"].accuracy == 1.0
    assert summary.sets["topic"]["even"].scored["asked"].reverse is None
    assert there(summary.sets["wording"]["asked"].scored[DEFAULT].reverse).accuracy == 0.0


def test_where_no_head_of_the_window_is_planted_no_set_restores_anything(settings):
    """The inverse: sets are chosen all the same, and the table says that they do nothing."""
    heads = [Head(layer, head) for layer in (3, 4) for head in range(4)]
    _, _, sets, points, summary = result(settings, heads, [Head(3, 0)])
    assert len(sets) == 5
    assert {p["accuracy"] for p in points if p["run"] == "patched"} == {0.0}
    assert {p["accuracy"] for p in points if p["run"] == "reverse"} == {1.0}
    assert summary.generalisation["topic"].on_diagonal.value == pytest.approx(0.0, abs=1e-6)


def test_without_a_set_nothing_is_chosen_and_the_unpatched_runs_are_scored(settings):
    _, rows, sets, points, summary = result(settings, [], [])
    assert sets == []
    assert {point["run"] for point in points} == {"source", "base"}
    assert summary.unpatched["asked"]["base"].accuracy == 0.0
    assert summary.n_heads is summary.overlap_by_chance is None
    assert summary.generalisation["topic"].on_diagonal.value is None
    assert summary.overlap == Overlaps(None, None, None)
    assert scores_overlap.pairs(sets) == []
    assert len(rows.filter(pl.col("wording") == DEFAULT)) == 2 * 12
    assert set(rows["patch_id"]) == {"none"}


def test_without_known_statements_everything_is_null():
    nobody = planted.pairs(tiny.chatml_tokenizer(), n=0)
    setting = planted.experiment(tiny.planted_model(), nobody)
    _, rows, _, points, summary = result({DEFAULT: setting}, EVERY, [PLANTED])
    assert {point["accuracy"] for point in points} == {None}
    assert summary.generalisation["wording"].difference.value is None
    assert rows.is_empty()


def test_rows_name_every_run_once(settings):
    chosen, scored, *_ = result(settings, EVERY)
    rows = pl.concat([chosen, scored])
    key = ["statement_id", "wording", "source", "base", "patch_id"]
    patched = rows.filter(pl.col("patch_id") != "none")
    assert not patched.select(key).is_duplicated().any()
    assert len(patched) == 2 * 12 * (8 + 5 + 3)
    back = patched.filter(pl.col("source") == "liar")
    assert set(back["chosen_on"]) == {"search", "wording"}


def singles(gain, topic):
    gain = np.asarray(gain, float)
    return Singles(gain, np.array(topic), np.arange(gain.shape[1]).astype(str))


def test_sets_are_of_the_best_heads_and_the_first_ones_where_they_are_equal():
    actual = patch.largest(np.array([[0.1, 0.5, 0.5, 0.2], [0.0, 0.0, 0.0, 0.0]]), 2)
    assert actual.tolist() == [[False, True, True, False], [True, True, False, False]]
    by = head_sets.by_group(singles([[1, 0], [0, 1]], ["a", "b"]), np.array(["a", "b"]), 1)
    assert {name: np.flatnonzero(s).tolist() for name, s in by.items()} == {"a": [0], "b": [1]}


def test_by_chance_is_the_mean_over_all_pairs_of_sets():
    n, size = 6, 3
    sets = [np.isin(np.arange(n), s) for s in combinations(range(n), size)]
    mean = np.mean([ranking.jaccard(a, b) for a in sets for b in sets])
    assert scores_overlap.by_chance(n, size) == pytest.approx(mean)
    assert scores_overlap.by_chance(n, n) == pytest.approx(1.0)


def test_overlap_of_the_same_sets_is_one_and_of_disjoint_ones_zero():
    a, b = np.array([True, True, False, False]), np.array([False, False, True, True])
    assert scores_overlap.overlap([a, a, a]) == Overlap(1.0, 1.0, 1.0, 3)
    assert scores_overlap.overlap([a, b]).mean == 0.0
    assert scores_overlap.overlap([a]) == Overlap(None, None, None, 0)


def test_shuffled_splits_tell_splits_with_heads_of_their_own_from_noise():
    random = np.random.default_rng(0)
    topic = np.repeat(["a", "b", "c"], 20)
    noise = random.normal(size=(12, 60))
    same = singles(noise, topic)
    own = noise + 3 * np.array([(topic == name) for name in "abc" for _ in range(4)])
    for gain, low in ((own, True), (same.gain, False)):
        actual = scores_overlap.shuffled(singles(gain, topic), 4, 99, seed=0)
        assert (there(actual.p_value) < 0.05) == low
    assert scores_overlap.shuffled(same, 4, 0, seed=0).p_value is None


def test_draws_of_subjects_agree_where_effects_are_clear_and_not_where_they_are_noise():
    random = np.random.default_rng(0)
    noise = random.normal(size=(20, 40))
    clear = noise + 5 * (np.arange(20) < 4)[:, None]
    topic = ["a"] * 40
    agree = scores_overlap.resampled(singles(clear, topic), 4, seed=0)
    noisy = scores_overlap.resampled(singles(noise, topic), 4, seed=0)
    assert (agree.mean, agree.low) == (1.0, 1.0)
    assert scores_overlap.by_chance(20, 4) < noisy.mean < 0.8
    assert scores_overlap.resampled(singles(noise, topic), 4, seed=0) == noisy


def test_shares_are_ratios_of_means_and_their_difference_is_paired():
    random = np.random.default_rng(0)
    subject = np.arange(60).astype(str)
    gap = random.uniform(0.6, 1.0, 60)
    noise = random.normal(0, 0.2, 60)  # the same in both: a paired difference does not see it
    on, off = 0.9 * gap + noise, 0.6 * gap + noise
    actual = scores_recovered.shares({"on": on, "off": off, "difference": off - on}, gap, subject)
    assert actual["on"].value == pytest.approx(on.mean() / gap.mean())
    assert actual["difference"].value == pytest.approx(-0.3)
    width = {name: span(row) for name, row in actual.items()}
    assert width["difference"] < 1e-9 < 0.05 < width["on"]
    assert actual["off"].n == 60


def test_no_share_is_told_where_there_is_no_lie_to_undo():
    subject = np.arange(30).astype(str)
    gap = np.random.default_rng(0).normal(0, 0.05, 30)
    assert scores_recovered.shares({"x": np.ones(30)}, gap, subject)["x"].value is None
    assert scores_recovered.shares({"x": np.ones(30)}, gap + 0.5, subject)["x"].value is not None
    assert scores_recovered.shares({"x": np.ones(0)}, np.ones(0), np.array([], str))["x"].n == 0


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"A b": {}}, "here: found 'A b', expected a name"),
        ({"default": {}}, "here: found 'default', expected a name"),
        ({"x": "hello"}, "here.x: expected some of question, source_system"),
        ({"x": {"sytem": "a"}}, "here.x.sytem: unknown key"),
        ({"x": {"prefix": 3}}, "here.x.prefix: expected str, found 3"),
        (
            {"x": {"question": "so?"}},
            r"here.x.question: found .so\?., expected \{statement\} in it",
        ),
        ({"x": {"base_system": "You are H."}}, "here.x: source and base have the same"),
        ({"x": {}}, "here.x: the same wording as that of section prompt"),
        ({"x": {"prefix": "it is"}}, "here.x: the same wording as that of section prompt"),
        ({"x": {"prefix": "so,"}, "y": {"prefix": "so,"}}, "here.y: the same wording as x"),
        ({"all": {"prefix": "so,"}}, "here: found 'all', expected a name"),
        ({3: {"prefix": "so,"}}, "here: expected str, found 3"),
    ],
)
def test_wordings_that_would_mean_nothing_are_refused(texts, message):
    with pytest.raises(UserError, match=message):
        wordings.named("here", texts, WORDING)


def test_what_a_wording_leaves_out_is_as_in_the_default_one():
    texts = {"prefix": "well,", "base_prefix": "hm,"}
    (actual,) = wordings.named("here", {"x": texts}, WORDING).values()
    assert actual == replace(WORDING, source_prefix="well,", base_prefix="hm,")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"base_system": "<|im_end|> Be H."}, r"here.base_system: found '<\|im_end\|>', a special"),
        ({"source_prefix": "<|im_end|>"}, r"here.source_prefix: found '<\|im_end\|>', a special"),
        ({"question": "<|im_end|>{statement}"}, r"here.question: found '<\|im_end\|>', a special"),
    ],
)
def test_special_tokens_in_a_wording_are_refused_by_name(setting, texts, message):
    actual = setting.pairs
    statements = {key: ("file, row 1", "T is.") for key in actual.table["statement_id"]}
    with pytest.raises(UserError, match=message):
        rewording.reworded("here", actual, statements, replace(WORDING, **texts), setting.lm)


def test_a_wording_that_gives_both_personas_the_same_tokens_is_refused(setting):
    actual = setting.pairs
    statements = {key: ("file, row 1", "T is.") for key in actual.table["statement_id"]}
    # Of different wording, for a tokenizer that reads no capitals.
    wording = replace(WORDING, base_system=WORDING.source_system.swapcase())
    wording = replace(wording, base_prefix=WORDING.source_prefix)
    model = replace(setting.lm, tokenizer=chats.lower_case())
    with pytest.raises(UserError, match="here: source and base persona: the same token ids"):
        rewording.reworded("here", actual, statements, wording, model)
