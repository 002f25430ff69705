"""Curves over the number of heads, on a planted model whose one head carries the persona."""

from typing import Any, cast

import numpy as np
import polars as pl
import pytest

from stages.lib import chat, forward
from stages.lib.model import readout
from stages.lib.model.readout import ReadoutConfig
from stages.lib.patching import head_runs, patch
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.head_runs import HeadRuns
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import NOTHING, Interval
from stages.set_sizes import criteria, rankings, schema, scores, search, set_sizes
from stages.set_sizes.criteria import CRITERIA
from stages.set_sizes.metrics import Ends, RandomRule, Rule
from stages.set_sizes.schema import RANDOM, RULES, Place
from tests import tiny
from tests.intervals import ends, of_type, there

WORDS = ReadoutConfig(("true", "True"), ("false", "False"))
N = 12
PLANTED = Head(tiny.PLANTED_LAYER, tiny.PLANTED_HEAD)
SIZES = (2, 4, 10)
WINDOW_LAYERS = (1, 2)
CONFIG = PatchConfig("honest", "liar", 25)


def pairs(model, source="You are H.", base="You are so L.", n=N):
    label = np.arange(n) % 2 == 0
    statements = [f"{'T' if true else 'F'} is no. {i}" for i, true in enumerate(label)]

    def prompts(system):
        return [
            chat.encode(
                model.tokenizer, chat.render(model.tokenizer, system, "{statement}?", "it is", s)
            )
            for s in statements
        ]

    ids = [f"{i:02}" for i in range(n)]
    columns = {"statement_id": ids, "topic": ["all"] * n, "label": label, "subject": ids}
    schema = {name: pl.String for name in columns} | {"label": pl.Boolean}
    return PromptPairs(pl.DataFrame(columns, schema=schema), prompts(source), prompts(base))


class Counting:
    """A patcher that notes what it patched."""

    def __init__(self, model, result):
        answers = readout.answers(model.tokenizer, WORDS)
        self.patcher = forward.Patcher(model, answers, result.base, result.source, 25, keep=True)
        self.patched = []

    def __call__(self, patches, title):
        self.patched += [heads.tobytes() for heads in patches]
        return self.patcher(patches, title)


@pytest.fixture(scope="module")
def model():
    return tiny.wrap(tiny.planted_model())


def runs(model, **changes):
    result = pairs(model, **changes)
    return HeadRuns(
        cast(Any, Counting(model, result)), result, (model.n_layers, model.n_heads), "test"
    )


def ranked(searched, estimate):
    """Rankings as the stages measure them; estimates are given: the gradient is blind here."""
    shape = searched.shape
    every = [Head(layer, head) for layer in range(shape[0]) for head in range(shape[1])]
    window = [head for head in every if head.layer in WINDOW_LAYERS]
    none, whole = (patch.mean_p_correct(p, searched.pairs.label) for p in searched([[], window]))
    alone = searched([[head] for head in every])
    left_out = searched([[other for other in window if other != head] for head in window])
    label = searched.pairs.label
    estimates = {head: estimate(head) for head in every}
    log_odds = {h: criteria.log_odds(p, label) for h, p in zip(every, alone, strict=True)}
    effects = {h: patch.mean_p_correct(p, label) - none for h, p in zip(every, alone, strict=True)}
    lost = {
        h: whole - patch.mean_p_correct(p, label) for h, p in zip(window, left_out, strict=True)
    }
    return rankings.from_tables(estimates, log_odds, effects, lost), rankings.by(lost)


def blind(head):
    """Puts the planted head last, and least in size."""
    return 0.0 if head == PLANTED else 1.0


@pytest.fixture(scope="module")
def result(model):
    searched = runs(model)
    orders, window = ranked(searched, estimate=blind)
    random = rankings.random(*searched.shape, 4, seed=0)
    return search.search(searched, orders, window, random, SIZES, keep=0.95, within=0.05)


def tables(report, result):
    """Both tables as the stage writes them; the same statements are of both splits here."""
    done = set_sizes.run(report, result.orders, result.sizes, result.smallest)
    rows = [
        *schema.rows(CONFIG, "selection", report.pairs, result.runs),
        *schema.rows(CONFIG, "report", report.pairs, done),
        schema.source_rows(CONFIG, "report", report.pairs, report.source),
    ]
    every = pl.concat([pl.DataFrame(schema=schema.SCHEMA), *rows], how="diagonal")
    return every, schema.ranks(result.orders, result.own, result.sizes)


def collect(report, result):
    rows, orders = tables(report, result)
    return scores.collect(rows, report.pairs, orders)


@pytest.fixture(scope="module")
def done(model, result):
    return collect(runs(model), result)


def accuracy(done, rule, direction, size, draw=0):
    p = done.curves[Place(rule, draw, direction, size)]
    return float(((p[:, 0] > p[:, 1]) == done.pairs.label).mean())


BLIND = ("estimate", "verified", "verified_absolute")
TRUE_RULES = [rule for rule in RULES if rule not in (RANDOM, *BLIND)]


@pytest.mark.parametrize("rule", TRUE_RULES)
def test_the_planted_head_alone_restores_by_every_rule_that_patches(result, done, rule):
    assert result.orders[rule][0][0] == PLANTED
    assert accuracy(done, rule, "up", 0) == 0
    assert accuracy(done, rule, "up", 1) == 1


@pytest.mark.parametrize("rule", TRUE_RULES)
def test_without_it_all_other_heads_restore_nothing(done, rule):
    assert accuracy(done, rule, "down", 0) == 1
    assert accuracy(done, rule, "down", 1) == 0


def test_where_the_estimate_is_blind_it_does_neither(result, done):
    """Here it puts the planted head last; tests/pipeline has what it really gives."""
    for rule in BLIND:
        assert result.orders[rule][0][-1] == PLANTED
        assert accuracy(done, rule, "up", 10) == 0
        assert accuracy(done, rule, "down", 10) == 1


def test_a_random_order_restores_when_it_comes_to_the_planted_head_and_not_before(result, done):
    for draw, order in enumerate(result.orders[RANDOM]):
        place = order.index(PLANTED)
        for size in done.sizes:
            assert accuracy(done, RANDOM, "up", size, draw) == float(size > place)
            assert accuracy(done, RANDOM, "down", size, draw) == float(size <= place)


def test_a_greedy_search_stops_at_the_planted_head_and_goes_on_as_single(result):
    for rule in CRITERIA:
        assert result.own[rule] == 1
        assert result.orders[rule] == result.orders["single"]


def test_the_smallest_set_is_that_head(done):
    metrics = scores.summarise(done, scores.score(done), CONFIG).rules
    for rule in TRUE_RULES:
        small = of_type(Rule, metrics[rule]).smallest
        assert (small.n_heads, small.share, small.accuracy) == (1, 1 / 20, 1)
        assert there(small.minus_source).value == 0
    assert of_type(Rule, metrics["estimate"]).smallest.n_heads == 20
    random = of_type(RandomRule, metrics[RANDOM])
    assert random.n_orders == 4
    spread = of_type(Ends, there(random.up["orders"])["auc"])
    mean = of_type(Interval, there(random.up["value"])["auc"]).value
    assert spread.least < there(mean) < spread.greatest


def test_areas_of_the_true_orders_are_the_greatest_and_the_blind_one_is_the_least(done):
    areas = scores.score(done)
    up, down = (
        {r: ends(s["value"]["auc"])[0] for r, s in areas[d].items()} for d in ("up", "down")
    )
    for rule in TRUE_RULES:
        assert up[rule] == pytest.approx(1 - 0.5 / 20, abs=0.02)
        assert down[rule] == pytest.approx(0.5 / 20, abs=0.02)
        assert up["estimate"] < up[RANDOM] < up[rule]
        assert down["estimate"] > down[RANDOM] > down[rule]
    assert ends(areas["up"]["estimate"]["difference"]["auc"])[2] < 0
    assert areas["up"]["left_out"]["difference"]["auc"].value == pytest.approx(0, abs=1e-6)


def test_points_start_at_nothing_and_end_with_all(done):
    rows = scores.curve_points(done)
    assert len(rows) == len(done.curves) == (len(RULES) - 1 + 4) * 2 * len(done.sizes)
    for row in rows:
        if row["size"] in (0, 20):
            assert row["recovered"] == float((row["size"] == 20) == (row["direction"] == "up"))
    assert done.sizes == [0, 1, 2, 4, 8, 10, 20]


def test_no_set_is_patched_twice(model):
    searched = runs(model)
    first = searched([[PLANTED], [], [PLANTED], [Head(0, 0), PLANTED]])
    again = searched([[PLANTED, Head(0, 0)], [PLANTED]])
    patched = cast(Any, searched)._patcher.patched
    assert len(patched) == len(set(patched)) == 3
    assert first[3] is again[0]
    np.testing.assert_array_equal(first[1], searched.base)


class Adding:
    """Runs whose P(true) and P(false) are made up; every statement is true."""

    def __init__(self, answers):
        self.answers = answers
        label = [True] * len(answers([]))
        self.pairs = PromptPairs(pl.DataFrame({"label": label}), [], [])

    def __call__(self, sets):
        return [np.array(self.answers(heads)) for heads in sets]


def test_criteria_disagree_where_they_should():
    """One head turns an answer, one adds margin, one log-odds, one p_correct: each criterion has its own."""
    a, b, c, d = heads = [Head(0, i) for i in range(4)]
    base = [[0.30, 0.31], [1e-6, 0.3], [0.05, 0.09], [0.05, 0.9]]
    changed = {
        a: (0, [0.32, 0.31]),  # right now
        b: (3, [0.45, 0.50]),  # the largest step of P(right) - P(wrong)
        c: (1, [1e-3, 0.3]),  # the largest ratio
        d: (2, [0.04, 1e-9]),
    }
    changed[d] = (2, [0.03, 0.031])  # p_correct from 0.36 to 0.49, on few tokens

    def answers(chosen):
        rows = [list(row) for row in base]
        for head in chosen:
            place, row = changed[head]
            rows[place] = row
        return rows

    first = {
        rule: head_runs.grow(cast(Any, Adding(answers)), criterion, heads, keep=0.01)[0]
        for rule, criterion in CRITERIA.items()
    }
    assert first["greedy_accuracy"] == a
    assert first["greedy_margin"] == b
    assert first["greedy_log_odds"] == c
    assert first["greedy_p_correct"] == b  # from 0.05 to 0.47


def test_equally_many_right_answers_are_told_apart_by_truth_and_never_outweighed_by_it():
    label = np.array([True] * 4)
    one_right = np.array([[0.51, 0.49], [0.0, 1], [0.0, 1], [0.0, 1]])
    nearly = np.array([[0.49, 0.51]] * 4)
    more = np.array([[0.9, 0.1], [0.0, 1], [0.0, 1], [0.0, 1]])
    values = [criteria.accuracy(p, label) for p in (nearly, one_right, more)]
    assert values == sorted(values)
    assert len(set(values)) == 3


class TestSmallest:
    @pytest.mark.parametrize("least", range(1, 21))
    def test_it_is_the_least_size_that_is_enough(self, least):
        asked = []

        def enough(sets):
            asked.append(len(sets))
            return [len(heads) >= least for heads in sets]

        order = [Head(0, i) for i in range(20)]
        result = set_sizes.smallest({"a": order, "b": order}, [0, 1, 2, 5, 12, 20], enough)
        assert result == {"a": least, "b": least}
        assert len(asked) <= 1 + 5 + 3

    def test_nothing_is_enough(self):
        order = [Head(0, 0), Head(0, 1)]
        assert set_sizes.smallest({"a": order}, [0, 1, 2], lambda s: [False] * len(s)) == {
            "a": None
        }

    def test_nothing_is_needed(self):
        order = [Head(0, 0), Head(0, 1)]
        assert set_sizes.smallest({"a": order}, [0, 1, 2], lambda s: [True] * len(s)) == {"a": None}

    def test_no_orders(self):
        assert set_sizes.smallest({}, [0, 1, 2], lambda s: [True] * len(s)) == {}


def test_sizes_that_fit():
    assert set_sizes.sizes((2, 30, 7), 8, 20) == [0, 1, 2, 7, 8, 20]
    assert set_sizes.sizes((), 0, 1) == [0, 1]


def test_a_model_that_never_lies_gives_nulls(model):
    searched = runs(model, base="You are H too.")
    orders, window = ranked(searched, estimate=lambda head: 0.0)
    random = rankings.random(*searched.shape, 2, seed=0)
    result = search.search(searched, orders, window, random, SIZES, keep=0.95, within=0.05)
    assert result.smallest == {}
    done = collect(searched, result)
    areas = scores.score(done)
    assert {row["value"] for row in scores.area_points(areas)} == {None}
    metrics = scores.summarise(done, areas, CONFIG)
    assert of_type(Rule, metrics.rules["single"]).smallest.n_heads is None
    assert of_type(RandomRule, metrics.rules[RANDOM]).up["orders"] is None
    assert metrics.runs["none"].accuracy == 1.0


def test_without_known_statements_only_random_orders_are_left_and_all_is_null(model):
    nothing = runs(model, n=0)
    random = rankings.random(*nothing.shape, 2, seed=0)
    result = search.search(nothing, {}, [], random, SIZES, keep=0.95, within=0.05)
    assert set(result.orders) == {RANDOM}
    done = collect(nothing, result)
    rows = scores.curve_points(done)
    assert {row["n"] for row in rows} == {0}
    assert {row["recovered"] for row in rows} == {row["accuracy"] for row in rows} == {None}
    metrics = scores.summarise(done, scores.score(done), CONFIG)
    assert metrics.effect == NOTHING
    assert metrics.rules["single"] is None
    assert len(tables(nothing, result)[0]) == 0


def test_rows_name_their_run(model, result):
    report = runs(model)
    rows, ranks = tables(report, result)
    assert dict(rows.schema) == {
        name: pl.Int32 if name in ("draw", "size") else kind for name, kind in schema.SCHEMA.items()
    }
    assert not rows.select("statement_id", "patch_id").is_duplicated().any()
    n_curves = (len(RULES) - 1 + 4) * 2 * len(result.sizes)
    of_report = rows.filter(split="report")
    assert len(of_report.drop_nulls("rule")) == N * n_curves
    source = of_report.filter(pl.col("rule").is_null())
    assert (source["source"] == source["base"]).all()
    np.testing.assert_array_equal(source.select("p_true", "p_false"), report.source)
    assert ranks.schema == pl.Schema(schema.ORDERS)
    assert len(ranks) == 20 * (len(RULES) - 1 + 4)
    best = ranks.filter(rule="single", rank=1).row(0, named=True)
    assert (best["layer"], best["head"]) == PLANTED
    assert ranks.filter("on_curve", rule="single")["rank"].to_list() == result.sizes[1:]
    for rule, n_own in result.own.items():
        assert ranks.filter(rule=rule)["own"].to_list() == [rank < n_own for rank in range(20)]
