"""Scores against trained layers: right where we know the answer, and at chance where there is none."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from stages.ground_truth import effects as gains_of
from stages.ground_truth import ground_truth
from stages.ground_truth.effects import Effects
from stages.ground_truth.metrics import (
    Accuracy,
    Gain,
    GroundTruthMetrics,
    HeadSetOverlap,
    LyingMetrics,
    Metrics,
    NoOrganism,
    OtherBlocks,
    WindowOverlap,
)
from stages.lib import stats
from stages.lib.io import records
from stages.lib.patching import patched_runs
from stages.lib.patching.layer_window import Window
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.probing import probe_files
from stages.lib.stats import bootstrap, ranking
from stages.lib.stats.ranking import Ranked
from tests.intervals import there

SUBJECTS = np.array([f"s{i // 2}" for i in range(20)])


def effects(effect, n_layers=10, n_heads=4, noise=0.01, split="report"):
    """Effects of single heads: `effect` of each layer, and noise."""
    random = np.random.default_rng(0)
    layers = [range(i, i + 1) for i in range(n_layers) for _ in range(n_heads)]
    p_correct = np.array([[effect(layer[0])] * 20 for layer in layers], float)
    p_correct += noise * random.normal(size=p_correct.shape)
    return Effects(
        layers, p_correct, (p_correct > 0.1).astype(float), SUBJECTS, np.array([split] * 20)
    )


def windows(p_correct):
    """Windows of two layers that each add the same p_correct to every statement to select on."""
    rows = np.repeat(np.array(p_correct)[:, None], 20, axis=1)
    layers = [range(i, i + 2) for i in range(len(p_correct))]
    return Effects(layers, rows, (rows > 0.5).astype(float), SUBJECTS, np.array(["selection"] * 20))


def pairs(**columns):
    """Statements without prompts."""
    types = {name: pl.Boolean if name == "label" else pl.String for name in columns}
    return PromptPairs(pl.DataFrame(columns, types), [], [])


def table(runs):
    """Rows of patched runs: name -> (heads, P(true) of each statement)."""
    return pl.concat(
        pl.DataFrame(
            {
                "statement_id": [f"{i:02}" for i in range(len(p))],
                "source": "honest",
                "base": "liar",
                "patch_id": name,
                "p_true": p,
                "p_false": [1 - x for x in p],
                "answer_mass": 1.0,
                "heads": [[{"layer": a, "head": b} for a, b in heads]] * len(p),
            },
            schema=patched_runs.SCHEMA,
        )
        for name, (heads, p) in runs.items()
    )


class TestOverlap:
    @pytest.mark.parametrize(
        ("first", "second", "expected"),
        [
            (range(3, 8), range(3, 8), 1.0),
            (range(3, 8), range(8, 13), 0.0),
            (range(3, 8), range(4, 9), 4 / 6),
            (range(3, 4), range(3, 8), 1 / 5),
        ],
    )
    def test_values(self, first, second, expected):
        assert ground_truth.overlap(first, second) == pytest.approx(expected)
        assert ground_truth.overlap(second, first) == pytest.approx(expected)

    def test_chance_is_the_mean_over_all_windows(self):
        swept = windows([0.0] * 4)
        result = ground_truth.window(Window(1, 2), range(1, 3), swept)
        assert result.overlap == 1.0
        assert result.by_chance == pytest.approx((1 / 3 + 1 + 1 / 3 + 0) / 4)
        assert ground_truth.window(None, range(1, 3), swept).overlap is None

    def test_windows_that_cannot_be_told_from_the_best(self):
        best, noise = Window(1, 2), np.random.default_rng(0).normal(size=20)
        swept = windows([0.1, 0.9, 0.9, 0.2])
        swept.p_correct[2] += 0.01 * (noise - noise.mean())
        result = ground_truth.window(best, range(1, 3), swept)
        assert result.as_good == {"1": 1.0, "2": pytest.approx(1 / 3)}
        assert result.n == 20

    def test_a_window_that_is_a_little_worse_on_each_statement_is_told_apart(self):
        swept = windows([0.1, 0.9, 0.89, 0.2])
        result = ground_truth.window(Window(1, 2), range(1, 3), swept)
        assert list(result.as_good or {}) == ["1"]

    def test_a_window_may_make_the_lie_stronger(self):
        result = ground_truth.window(Window(1, 2), range(1, 3), windows([0.1, 0.9, -0.05, 0.2]))
        assert list(result.as_good or {}) == ["1"]

    def test_few_subjects_tell_no_window_apart(self):
        swept = replace(windows([0.1, 0.9, 0.5, 0.2]), subject=np.arange(20) % 5)
        result = ground_truth.window(Window(1, 2), range(1, 3), swept)
        assert list(result.as_good or {}) == ["0", "1", "2", "3"]


class TestGains:
    def test_patched_minus_base_by_statement(self):
        about = pairs(statement_id=["00", "01"], label=[True, False], subject=["a", "b"],
                      split=["report", "selection"])  # fmt: skip
        runs = table({"none": ([], [0.2, 0.9]), "b": ([(3, 0), (3, 1), (4, 0)], [0.7, 0.4]),
                      "a": ([(1, 2)], [0.2, 0.9])})  # fmt: skip
        result = gains_of.effects(runs, about, "liar")
        assert result.layers == [range(1, 2), range(3, 5)]
        np.testing.assert_allclose(result.p_correct, [[0, 0], [0.5, 0.5]], atol=1e-6)
        np.testing.assert_allclose(result.accuracy, [[0, 0], [1, 1]])
        assert result.split.tolist() == ["report", "selection"]

    def test_no_known_statement(self):
        about = pairs(statement_id=[], label=[], subject=[], split=[])
        result = gains_of.effects(table({"none": ([], [])}), about, "liar")
        assert ground_truth.by_layer(result, []) == []
        assert result.p_correct.shape == (0, 0)
        scores = ground_truth.heads(result, range(1, 3))
        assert scores.auroc.value is None
        assert scores.share.value is None
        assert scores.others == OtherBlocks(n_blocks=0, mean=None, max=None)
        assert ground_truth.head_set([], range(1, 3), result).by_chance is None


class TestHeads:
    def test_effects_in_the_trained_layers_alone_score_one(self):
        result = ground_truth.heads(effects(lambda layer: 0.2 * (3 <= layer < 6)), range(3, 6))
        auroc = result.auroc
        assert (auroc.value, auroc.low, auroc.n) == (1.0, pytest.approx(1.0), 20)
        assert there(result.share.value) > 0.95
        assert result.share_by_chance == 0.3
        assert (result.n_trained, result.n_heads) == (12, 40)
        assert there(result.others.max) < 0.5
        assert result.others.n_blocks == 1 + 2  # first layers 0, and 6 and 7

    def test_effects_elsewhere_score_below_chance(self):
        result = ground_truth.heads(effects(lambda layer: 0.2 * (layer < 3)), range(5, 8))
        # below the 12 heads that have an effect, level with the 16 that have none
        assert result.auroc.value == pytest.approx(8 / 28, abs=0.12)
        assert there(result.share.value) < 0.05
        assert result.others.max == pytest.approx(1.0)

    def test_without_heads_on_both_sides_there_is_no_area(self):
        for trained in (range(10), range(0)):
            inside = np.isin(np.arange(10), trained)
            assert ground_truth.auroc(np.ones((10, 20)), inside, SUBJECTS) == stats.NOTHING

    def test_noise_is_at_chance(self, monkeypatch):
        monkeypatch.setattr(ground_truth.stats, "DRAWS", 200)
        inside, result = np.arange(90) < 27, []
        for seed in range(20):
            effects = np.random.default_rng(seed).normal(size=(90, 20))
            result.append(ground_truth.auroc(effects, inside, SUBJECTS))
        assert np.mean([auroc.value for auroc in result]) == pytest.approx(0.5, abs=0.05)
        assert sum(auroc.low < 0.5 < auroc.high for auroc in result) >= 17

    @pytest.mark.parametrize("n_values", [2, 3, 1000])
    def test_areas_are_those_of_scikit_learn_with_ties_too(self, n_values):
        random = np.random.default_rng(n_values)
        effects = random.integers(0, n_values, (200, 30)) / 7
        inside = np.sort(random.random((200, 30)) < 0.3, axis=1)[:, ::-1]
        inside[:, 0], inside[:, -1] = True, False
        expected = [roc_auc_score(*rows) for rows in zip(inside, effects, strict=True)]
        np.testing.assert_allclose(ranking.area(inside, effects), expected, atol=1e-12)
        assert len(set(expected)) > 20

    def test_the_interval_is_that_of_draws_taken_one_by_one(self):
        given = np.random.default_rng(0).normal(size=(12, 20)).round(1)
        inside, areas, random = np.arange(12) % 3 == 0, [], np.random.default_rng(0)
        for mean in bootstrap.means(given, SUBJECTS, random):
            some = [random.choice(np.flatnonzero(one), one.sum()) for one in (inside, ~inside)]
            areas.append(roc_auc_score(inside[np.concatenate(some)], mean[np.concatenate(some)]))
        result = ground_truth.auroc(given, inside, SUBJECTS)
        expected = stats.bootstrapped(np.array(areas), 10)
        assert (result.low, result.high) == pytest.approx(expected, abs=1e-12)

    def test_the_set_is_counted(self):
        alone = effects(lambda layer: 0.0)
        result = ground_truth.head_set([Head(3, 0), Head(4, 1), Head(9, 0)], range(3, 6), alone)
        assert result == HeadSetOverlap(n_heads=3, n_trained=2, by_chance=0.3)

    def test_effects_by_layer(self):
        rows = ground_truth.by_layer(effects(lambda layer: 0.2 * (layer == 3), noise=0), [3])
        assert [row["trained"] for row in rows] == [i == 3 for i in range(10)]
        assert rows[3]["effect"] == pytest.approx(0.2)
        assert rows[3]["n"] == 20


class TestGain:
    def test_a_window_that_restores_the_truth(self):
        swept = effects(lambda layer: 0.5 * (layer == 4), n_heads=1)
        assert Gain.of(ground_truth.window_gain(swept, Window(4, 4))).above_zero

    def test_a_window_that_does_nothing(self):
        swept = effects(lambda layer: 0.0, n_heads=1)
        assert not Gain.of(ground_truth.window_gain(swept, Window(4, 4))).above_zero

    def test_only_the_report_part_counts(self):
        swept = effects(lambda layer: 0.5, n_heads=1, split="selection")
        result = ground_truth.window_gain(swept, Window(4, 4))
        assert result == stats.NOTHING
        assert not Gain.of(result).above_zero

    def test_no_window(self):
        assert ground_truth.window_gain(effects(lambda layer: 0.5), None) == stats.NOTHING


def falls(fall, first="honest", second="liar"):
    """A table of one pair of personas at each site."""
    rows = [(site, first, second, fall, 9) for site in ("z", "resid_post")]
    return pl.DataFrame(rows, probe_files.FALLS, orient="row")


def test_divergence_counts_layers_not_places_of_the_stream():
    assert ground_truth.divergence_layer(falls(16), "honest", "liar") == 15
    assert ground_truth.divergence_layer(falls(16), "liar", "honest") == 15
    assert ground_truth.divergence_layer(falls(None), "honest", "liar") is None


def test_belief_reads_what_enters_the_layer():
    rows = [
        {"site": site, "labels": labels, "fit": fit, "scored": scored, "layer": layer}
        | {"accuracy": layer / 10 + (labels == "true"), "low": 0.0, "high": 1.0, "n": 5}
        for site in ("z", "resid_post")
        for labels in ("true", "permuted")
        for fit in ("honest", "liar")
        for scored in ("honest", "liar")
        for layer in range(4)
    ]
    result = ground_truth.belief(pl.DataFrame(rows, probe_files.LAYERS), 2, "honest", "liar")
    assert {name: value.accuracy for name, value in result.items()} == {
        "source": 1.2, "base": 1.2, "transfer": 1.2, "permuted": 0.2,
    }  # fmt: skip


@pytest.mark.parametrize(
    "written",
    [
        NoOrganism(organism=None, reason="none"),
        GroundTruthMetrics("none", None, {"set": Gain.of(stats.NOTHING)}, None),
        LyingMetrics(
            "middle", Window(1, 2), {}, 3,
            window=WindowOverlap(None, None, None, 0.5, None, 0),
            heads=ground_truth.heads(effects(lambda layer: 0.2 * (layer == 3)), range(3, 4)),
            set=HeadSetOverlap(1, 1, 0.5), belief={"base": Accuracy(1.0, 0.5, 1.0, 9)},
            methods={"single_heads": Ranked(stats.NOTHING, 0.5, 1, 2)},
        ),
    ],
)  # fmt: skip
def test_metrics_of_each_kind_of_model_are_read_as_they_were_written(tmp_path, written):
    records.write(tmp_path / "found.json", written)
    result = records.read(tmp_path / "found.json", cast(Any, Metrics))
    assert type(result) is type(written)
    again = tmp_path / "again.json"
    records.write(again, result)
    assert again.read_bytes() == (tmp_path / "found.json").read_bytes()
