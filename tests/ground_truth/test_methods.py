"""Methods against the heads whose weights are needed: right, wrong, at chance, and without a say."""

import numpy as np
import polars as pl
import pytest

from stages.grafts.metrics import GraftEffect, GraftsMetrics, NeededSet, Unit
from stages.ground_truth import methods
from stages.lib.patching import head_effects
from stages.lib.patching.patch import Head
from stages.lib.stats import NOTHING, Interval
from stages.lib.stats.run_points import Count
from stages.trace.metrics import CellEffect, TraceMetrics, View
from tests.intervals import ends, there

SHAPE = (4, 3)
NEEDED = [Head(1, 0), Head(2, 2)]


def grid(heads, value=1.0):
    scores = np.zeros(SHAPE)
    for head in heads:
        scores[head] = value
    return scores


class TestScore:
    def test_a_method_that_is_right_puts_all_needed_heads_first(self):
        found = methods.score(grid(NEEDED), NEEDED)
        assert ends(found.auroc) == (1, 1, 1)
        assert (found.average_precision, found.before_first_wrong, found.n_true) == (1, 2, 2)
        assert found.auroc.n == 12

    def test_its_opposite_is_at_0_and_a_method_that_says_nothing_at_chance(self):
        assert there(methods.score(-grid(NEEDED), NEEDED).auroc.value) == 0
        silent = methods.score(np.zeros(SHAPE), NEEDED)
        assert ends(silent.auroc) == (0.5, 0.5, 0.5)
        assert silent.average_precision == pytest.approx(2 / 12)
        assert silent.before_first_wrong == 0

    def test_one_head_too_many_in_front(self):
        scores = grid(NEEDED) + 2 * grid([Head(0, 0)])
        found = methods.score(scores, NEEDED)
        assert there(found.auroc.value) == pytest.approx(9 / 10)
        assert found.average_precision == pytest.approx((1 / 2 + 2 / 3) / 2, abs=0.1)
        assert found.before_first_wrong == 0


class TestScores:
    def scores(self, cells=None):
        rows = [
            {"statement_id": s, "layer": layer, "head": head, "estimate": -1.0, "effect": effect}
            for s, effect in (("a", 1.0), ("b", 3.0))
            for layer in range(4)
            for head in range(3)
        ]
        effect = GraftEffect(NOTHING, NOTHING, NOTHING)
        unit = Unit(effect, effect, 2.5)
        grafts = GraftsMetrics(
            "liar", Count(1, 1), NOTHING, NOTHING, unit, {"2": unit}, {"2.1": unit}, {}, {}, [2],
            NeededSet([[2, 1]], 1, unit, unit),
        )  # fmt: skip
        trace = TraceMetrics(
            "honest", "liar", Count(1, 1), NOTHING, "", 0.25, cells or {}, {}, [], [],
            {"all": View(None, NOTHING)},
        )  # fmt: skip
        table = pl.DataFrame(rows, schema=head_effects.EFFECTS)
        window = {"first_layer": 1, "last_layer": 2}
        everywhere = table.drop("effect").with_columns(estimate=pl.col("layer").cast(pl.Float64))
        return methods.scores(table, everywhere, window, [[3, 0]], trace, grafts, SHAPE)

    def test_each_method_has_a_number_for_every_head(self):
        found = self.scores()
        assert all(scores.shape == SHAPE for scores in found.values())
        assert (found["single_heads"] == 2).all()
        assert (found["attribution_patching"] == -1).all()
        assert (found["attribution_everywhere"] == np.arange(4)[:, None]).all()
        np.testing.assert_array_equal(found["window"].sum(axis=1), [0, 3, 3, 0])
        np.testing.assert_array_equal(found["head_set"], grid([Head(3, 0)]))
        np.testing.assert_array_equal(found["weight_change"], grid([Head(2, 1)], 2.5))
        np.testing.assert_array_equal(found["trained_layers"].sum(axis=1), [0, 0, 3, 0])
        assert not found["trace"].any()

    def test_of_several_cells_of_a_head_the_best_counts(self):
        def cell(block, share):
            heads = {"1": Interval(share, 0, 1, 9), "2": NOTHING}
            return CellEffect(2, block, NOTHING, NOTHING, NOTHING, NOTHING, heads)

        found = self.scores({"a": cell("user turn", 0.7), "b": cell("last token", 0.2)})
        np.testing.assert_array_equal(found["trace"], grid([Head(2, 1)], 0.7))
