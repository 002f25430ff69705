"""Erased z in runs of a model in which head (0, 0) is known to carry the truth."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from stages.erasure import erasure_probes, erasure_runs, schema, scores
from stages.erasure.config import ErasureConfig
from stages.erasure.metrics import ErasureCounts, Numbers
from stages.lib import shards
from stages.lib.io.cli import UserError
from stages.lib.model import readout
from stages.lib.model.readout import ReadoutConfig
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.probing.config import ProbesConfig
from stages.lib.stats import NOTHING, plot_rows
from tests import tiny
from tests.intervals import ends, of_type, there

CONFIG = ErasureConfig(sizes=(1, 2), stride=1, positions=15, limit=None, draws=2, seed=0)
PATCH = PatchConfig("honest", "liar", 20)
WORDS = ReadoutConfig(("true", "True"), ("false", "False"))


def pairs(numbers, letters="FT"):
    """Statements with their honest and lying prompts: 'T 3 is a letter' is true."""
    tokenizer = tiny.chatml_tokenizer()
    text = "You are {}. {} {} is a letter, yes or no? it is"
    names = [(letter, i) for i in numbers for letter in letters]
    prompts = {
        p: [tokenizer(text.format(p, letter, i)).input_ids for letter, i in names] for p in "HL"
    }
    table = pl.DataFrame(
        {
            "statement_id": [f"{i:03}{letter}" for letter, i in names],
            "topic": ["letters"] * len(names),
            "label": [letter == "T" for letter, _ in names],
            "subject": [str(i) for _, i in names],
            "split": ["report"] * len(names),
        },
        schema={"statement_id": str, "topic": str, "label": bool, "subject": str, "split": str},
    )
    return PromptPairs(table, prompts["H"], prompts["L"])


BEST = range(1)  # layers of the best window: those of window 0-0
FITTED, SCORED = pairs(range(10, 30)), pairs(range(40, 60))


def setting(result):
    model = tiny.wrap(tiny.planted_model())
    return Experiment(PATCH, result, model, readout.answers(model.tokenizer, WORDS))


@pytest.fixture(scope="module")
def runs():
    return erasure_runs.run(setting(SCORED), FITTED, CONFIG, BEST)


def window(summary, persona, name):
    return summary[persona].windows[name]


def test_erasing_where_truth_is_carried_leaves_chance_and_later_nothing(runs):
    result = scores.summarise(SCORED, runs, PATCH)
    for persona, level in (("honest", 1.0), ("liar", 0.0)):
        assert result[persona].none.accuracy.value == level
        for name in ("0-0", "0-1"):
            for eraser in ("leace", "oracle"):
                numbers = of_type(Numbers, window(result, persona, name)[eraser])
                assert numbers.accuracy.value == 0.5
                assert numbers.p_correct.value == pytest.approx(0.5, abs=0.01)
                assert there(numbers.answer_mass.value) > 0.5
            assert window(result, persona, name)["random"].accuracy.value == level
            _, low, high = ends(window(result, persona, name)["leace - random"].p_correct)
            assert (high < -0.2) if level else (low > 0.2)
        for name in ("1-1", "1-2", "3-4", "4-4"):
            assert window(result, persona, name)["leace"].accuracy.value == level
            assert window(result, persona, name)["leace - none"].p_correct.value == pytest.approx(
                0, abs=1e-5
            )
        # random directions leave the truth; permuted labels find it, as z here is nothing else
        assert result[persona].as_far["0-0"] == {"permuted": 2, "random": 0}
        counts = result[persona].counts
        assert (counts.windows, counts.at_chance, counts.unlike_random) == (9, 2, 2)


def test_a_head_with_nothing_but_truth_loses_it_to_any_labels_that_z_tells_apart(runs):
    """Why there are two controls: all that varies in head (0, 0) is truth."""
    numbers = window(scores.summarise(SCORED, runs, PATCH), "honest", "0-0")
    assert numbers["permuted"].accuracy.value == 0.5
    assert numbers["permuted"].accuracy.n == 2 * len(SCORED.label)


def test_labels_of_the_statements_that_are_erased_are_not_seen(runs):
    swapped = PromptPairs(
        SCORED.table.with_columns(label=~pl.col("label")), SCORED.source, SCORED.base
    )
    again = erasure_runs.run(setting(swapped), FITTED, CONFIG, BEST)
    assert set(runs["eraser"]) == {"none", "leace", "oracle", "permuted", "random"}
    assert runs.filter(pl.col("eraser") != "oracle").equals(
        again.filter(pl.col("eraser") != "oracle")
    )


def test_labels_that_are_fitted_on_decide(runs):
    label = np.arange(len(FITTED.label)) < 20
    other = PromptPairs(
        FITTED.table.with_columns(label=pl.Series(label)), FITTED.source, FITTED.base
    )
    config = replace(CONFIG, draws=1, sizes=(1,))
    again = erasure_runs.run(setting(SCORED), other, config, BEST)
    first, second = (
        scores.summarise(SCORED, table, PATCH)["honest"].removed for table in (runs, again)
    )
    assert first["leace"] != second["leace"]
    assert first["oracle"] == second["oracle"]


def test_without_a_best_window_controls_are_drawn_once():
    runs = erasure_runs.run(setting(SCORED), FITTED, replace(CONFIG, sizes=(1,), stride=4), None)
    assert runs["draw"].n_unique() == 1
    assert set(scores.summarise(SCORED, runs, PATCH)["honest"].windows) == {"0-0", "4-4"}


def test_the_first_draw_is_the_same_with_more_draws(runs):
    config = replace(CONFIG, draws=1)
    assert erasure_runs.run(setting(SCORED), FITTED, config, BEST).equals(
        runs.filter(pl.col("draw") == 0)
    )


@pytest.mark.parametrize("letters", ["T", "F", ""])
def test_nothing_is_run_where_a_label_is_missing(letters, tmp_path):
    result = erasure_runs.run(setting(SCORED), pairs(range(10, 30), letters), CONFIG, BEST)
    assert result.is_empty()
    nobody = SCORED.only(result["statement_id"])
    assert scores.points(nobody, result, PATCH) == []
    summary = scores.summarise(nobody, result, PATCH)
    assert summary["liar"].windows == {}
    assert summary["liar"].none.accuracy == NOTHING
    assert summary["liar"].removed["leace"] is None
    assert summary["liar"].counts == ErasureCounts(0, None, None, None, None)
    assert set(result.columns) == set(schema.RUNS)


def test_rows_and_points_name_everything(runs):
    points = scores.points(SCORED, runs, PATCH)
    erasers, more_draws = 4, 2  # the second draw of both controls, in window 0-0 alone
    assert len(runs) == 2 * len(SCORED.label) * (1 + 9 * erasers + more_draws)
    assert not runs.select("statement_id", "base", "patch_id").is_duplicated().any()
    assert len(points) == 2 * (9 * (1 + erasers) + more_draws)
    assert {(p["first_layer"], p["last_layer"]) for p in points if p["draw"]} == {(0, 0)}
    assert {p["eraser"] for p in points} == {"none", "leace", "oracle", "permuted", "random"}
    json.dumps(points, allow_nan=False)


def test_windows_step_and_end_at_the_last_layer():
    result = erasure_runs.windows(12, replace(CONFIG, sizes=(10, 5), stride=5))
    assert [(w.start, w[-1]) for w in result] == [(0, 4), (5, 9), (7, 11), (0, 9), (2, 11)]


def test_a_window_larger_than_the_model_is_refused():
    with pytest.raises(UserError, match=r"erasure.sizes: found 6, expected 1 to 5, the model"):
        erasure_runs.run(setting(SCORED), FITTED, replace(CONFIG, sizes=(1, 6)), None)


class TestProbes:
    SETTINGS = ProbesConfig(1.0, 1000, 0, 0)
    N, LAYERS, HEADS, D = 120, 2, 3, 8

    def write(self, folder, pairs):
        """Truth in layer 1 along one direction of each head, nothing in layer 0."""
        random = np.random.default_rng(0)
        z = random.normal(size=(self.N, 1, self.LAYERS, self.HEADS, self.D))
        towards = np.random.default_rng(1).normal(size=(self.HEADS, self.D))
        z[:, 0, 1] += 3 * np.where(pairs.label, 1, -1)[:, None, None] * towards
        provenance = {"statement_ids": pairs.table["statement_id"].to_list(), "positions": [-1]}
        provenance |= {"n_layers": self.LAYERS, "n_heads": self.HEADS}
        with shards.writer(folder, provenance) as writer:
            writer.append({"z": z.astype(np.float32)})

    def pairs(self, label=None):
        index = np.arange(self.N)
        table = pl.DataFrame(
            {
                "statement_id": [f"{i:03}" for i in index],
                "topic": ["all"] * self.N,
                "label": index % 5 < 2 if label is None else label,
                "subject": (index // 5).astype(str),
                "split": np.where(index < 60, "selection", "report"),
            }
        )
        return PromptPairs(table, [[0]] * self.N, [[0]] * self.N)

    def test_nothing_is_left_on_the_fitted_rows_and_permuted_labels_leave_it(self, tmp_path):
        result = self.pairs()
        self.write(tmp_path / "honest", result)
        checks = erasure_probes.check({"honest": tmp_path / "honest"}, result, self.SETTINGS)
        points = scores.probe_points(result, checks, PATCH)
        rates = {
            (p["probe"], p["z"], p["layer"]): there(plot_rows.number(p, "accuracy")) for p in points
        }
        assert rates["fitted", "unerased", 1] == 1.0
        assert rates["fitted", "permuted", 1] > 0.9
        for layer in (0, 1):
            assert rates["fitted", "erased", layer] == 0.6  # the majority
        assert rates["report", "unerased", 1] > 0.95
        assert rates["report", "erased", 1] == 0.6
        assert rates["before", "erased", 1] < 0.8
        assert rates["fresh", "unerased", 1] > 0.95
        assert rates["fresh", "erased", 1] < rates["fresh", "unerased", 1]
        assert {p["n"] for p in points} == {60}
        summary = scores.summarise_probes(result, checks, PATCH)["honest"]["fitted"]
        assert (summary["erased"].least, summary["erased"].greatest) == (0.6, 0.6)

    def test_one_label_alone_gives_nothing(self, tmp_path):
        result = self.pairs(np.arange(self.N) < 60)
        self.write(tmp_path / "honest", result)
        checks = erasure_probes.check({"honest": tmp_path / "honest"}, result, self.SETTINGS)
        assert scores.probe_points(result, checks, PATCH) == []
        assert scores.summarise_probes(result, checks, PATCH) == {}
