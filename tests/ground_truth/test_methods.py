"""Methods against the heads whose weights are needed: right, wrong, at chance, and without a say."""

import numpy as np
import polars as pl
import pytest

from stages.grafts import schema
from stages.ground_truth import methods
from stages.lib.patching import head_effects
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.layer_window import Window
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import Interval, needed_heads
from stages.trace.schema import RUNS
from tests.intervals import there

SHAPE = (4, 3)
NEEDED = [Head(1, 0), Head(2, 2)]


def grid(heads, value=1.0):
    scores = np.zeros(SHAPE)
    for head in heads:
        scores[head] = value
    return scores


class TestScore:
    def test_a_method_that_is_right_puts_all_needed_heads_first(self):
        result = methods.score(grid(NEEDED), NEEDED)
        assert result.auroc == Interval(1, None, None, 12)  # two heads are too few for a bootstrap
        assert (result.average_precision, result.before_first_wrong, result.n_true) == (1, 2, 2)

    def test_its_opposite_is_at_0_and_a_method_that_says_nothing_at_chance(self):
        assert there(methods.score(-grid(NEEDED), NEEDED).auroc.value) == 0
        silent = methods.score(np.zeros(SHAPE), NEEDED)
        assert silent.auroc.value == 0.5
        assert silent.average_precision == pytest.approx(2 / 12)
        assert silent.before_first_wrong == 0

    def test_one_head_too_many_in_front(self):
        scores = grid(NEEDED) + 2 * grid([Head(0, 0)])
        result = methods.score(scores, NEEDED)
        assert there(result.auroc.value) == pytest.approx(9 / 10)
        assert result.average_precision == pytest.approx((1 / 2 + 2 / 3) / 2, abs=0.1)
        assert result.before_first_wrong == 0


def grafts(*parts):
    """Rows of grafts, two statements each: kind, layer, index, size, heads of the set."""
    rows = [
        {"statement_id": statement, "unit": unit, "layer": layer, "index": index, "size": size}
        | {"heads": [{"layer": layer, "head": head} for layer, head in heads], "run": run}
        for unit, layer, index, size, heads in parts
        for run in ("without", "alone")
        for statement in "ab"
    ]
    return pl.DataFrame(rows, schema=schema.SCHEMA)


class TestScores:
    def scores(self, traced=()):
        rows = [
            {"statement_id": s, "layer": layer, "head": head, "estimate": -1.0, "effect": effect}
            for s, effect in (("a", 1.0), ("b", 3.0))
            for layer in range(4)
            for head in range(3)
        ]
        weights = grafts(
            ("all", None, None, 9.0, []), ("layer", 2, None, 5.0, []), ("head", 2, 1, 2.5, []),
            ("group", 2, 0, 7.0, []), ("set", None, None, 2.5, [(2, 1)]),
        )  # fmt: skip
        table = pl.DataFrame(rows, schema=head_effects.EFFECTS)
        window = Window(1, 2)
        everywhere = table.drop("effect").with_columns(estimate=pl.col("layer").cast(pl.Float64))
        return methods.scores(table, everywhere, window, [Head(3, 0)], [*traced], weights, SHAPE)

    def test_each_method_has_a_number_for_every_head(self):
        result = self.scores()
        assert all(scores.shape == SHAPE for scores in result.values())
        assert (result["single_heads"] == 2).all()
        assert (result["attribution_patching"] == -1).all()
        assert (result["attribution_everywhere"] == np.arange(4)[:, None]).all()
        np.testing.assert_array_equal(result["window"].sum(axis=1), [0, 3, 3, 0])
        np.testing.assert_array_equal(result["head_set"], grid([Head(3, 0)]))
        np.testing.assert_array_equal(result["weight_change"], grid([Head(2, 1)], 2.5))
        np.testing.assert_array_equal(result["trained_layers"].sum(axis=1), [0, 0, 3, 0])
        assert not result["trace"].any()

    def test_of_several_cells_of_a_head_the_best_counts(self):
        result = self.scores([(2, 1, 0.7), (2, 1, 0.2)])
        np.testing.assert_array_equal(result["trace"], grid([Head(2, 1)], 0.7))


def test_the_needed_heads_are_those_of_the_set_and_none_without_one():
    result = grafts(("head", 1, 0, 1.0, []), ("set", None, None, 1.0, [(1, 0), (2, 2)]))
    assert needed_heads.needed(result) == NEEDED
    assert needed_heads.needed(result.filter(unit="head")) == []


class TestTraced:
    ABOUT = PromptPairs(
        pl.DataFrame({
            "statement_id": [*"abcdefgh"], "label": [True, False] * 4,
            "subject": [*"abcdefgh"], "split": ["report"] * 7 + ["selection"],
        }), [[0]] * 8, [[0]] * 8,
    )  # fmt: skip
    PATCH = PatchConfig(source="honest", base="liar", positions=1)

    def runs(self, *runs):
        """Runs of all statements: patch, base, layer, head, P(right)."""
        rows = [
            {"statement_id": statement, "source": "honest", "base": base, "patch_id": name}
            | {"p_true": p if label else 1 - p, "p_false": 1 - p if label else p}
            | {"answer_mass": 1.0, "layer": layer, "block": "last token", "head": head}
            for name, base, layer, head, p in runs
            for statement, label in self.ABOUT.table.select("statement_id", "label").rows()
        ]
        return pl.DataFrame(rows, schema=RUNS)

    def test_the_share_is_that_of_the_log_odds_on_the_report_split(self):
        p = 1 / (1 + np.exp([2.0, -2.0, 1.0]))  # log-odds of -2, 2 and -1
        runs = self.runs(
            ("none", "liar", None, None, p[0]), ("none", "honest", None, None, p[1]),
            ("layer_2", "liar", 2, None, p[1]), ("head_2.1", "liar", 2, 1, p[2]),
        )  # fmt: skip
        selection = pl.col("statement_id") == "h"
        wrong = runs.with_columns(p_true=pl.when(selection).then(0.5).otherwise("p_true"))
        for table in (runs, wrong):
            ((layer, head, share),) = methods.traced(table, self.ABOUT, self.PATCH)
            assert (layer, head) == (2, 1)
            assert share == pytest.approx(1 / 4, abs=1e-5)

    def test_a_place_that_a_statement_lacks_is_measured_on_the_other_statements(self):
        p = 1 / (1 + np.exp([2.0, -2.0, 1.0, 0.0]))
        runs = self.runs(
            ("none", "liar", None, None, p[0]), ("none", "honest", None, None, p[1]),
            ("head_2.1", "liar", 2, 1, p[2]), ("head_3.0", "liar", 3, 0, p[3]),
        )  # fmt: skip
        lacks = (pl.col("layer") == 3) & (pl.col("statement_id") == "a")
        result = methods.traced(runs.filter(~lacks.fill_null(False)), self.ABOUT, self.PATCH)
        assert [cell[:2] for cell in result] == [(2, 1), (3, 0)]
        assert [cell[2] for cell in result] == pytest.approx([1 / 4, 1 / 2], abs=1e-5)

    def test_where_there_is_nothing_to_recover_there_is_no_share(self):
        runs = self.runs(
            ("none", "liar", None, None, 0.5), ("none", "honest", None, None, 0.5),
            ("head_2.1", "liar", 2, 1, 0.6),
        )  # fmt: skip
        assert methods.traced(runs, self.ABOUT, self.PATCH) == []
        assert methods.traced(runs.filter(pl.col("head").is_null()), self.ABOUT, self.PATCH) == []
