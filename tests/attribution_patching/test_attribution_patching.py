import numpy as np
import polars as pl
import pytest

from stages.attribution_patching import estimates, scores
from stages.lib import stats
from stages.lib.patching import head_effects, patch, patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs
from tests.intervals import ends

N, LAYERS, HEADS = 12, 4, 5
SUBJECTS = np.arange(N) // 2
LABEL = np.arange(N) % 2 == 0
CONFIG = PatchConfig("honest", "liar", 5)


def noise(seed):
    return np.random.default_rng(seed).normal(size=(N, LAYERS, HEADS))


def pairs():
    table = pl.DataFrame(
        {
            "statement_id": [f"{i:02}" for i in range(N)],
            "topic": ["all"] * N,
            "label": LABEL,
            "subject": SUBJECTS.astype(str),
            "split": ["selection"] * N,
        }
    )
    return PromptPairs(table, [[i] for i in range(N)], [[i + N] for i in range(N)])


class TestScore:
    def test_an_order_kept_by_any_rising_function_has_rank_correlation_one(self):
        true = np.repeat(noise(0)[:1], N, axis=0)
        result = scores.score(np.exp(true), true, SUBJECTS, CONFIG)
        for score in (result.rank_correlation, result.top):
            assert (score.value, score.low, score.high) == (1, 1, 1)
        assert result.rank_correlation.n == N

    def test_a_reversed_order_has_minus_one_and_shares_nothing(self):
        true = np.repeat(noise(0)[:1], N, axis=0)
        result = scores.score(-true, true, SUBJECTS, CONFIG)
        assert result.rank_correlation.value == pytest.approx(-1)
        assert result.top.value == 0
        assert (result.top.n_heads, result.top.by_chance) == (2, 0.1)

    def test_two_noises_have_nothing_in_common(self):
        values = [
            ends(scores.score(noise(2 * i), noise(2 * i + 1), SUBJECTS, CONFIG).rank_correlation)
            for i in range(20)
        ]
        assert abs(np.mean([value for value, _, _ in values])) < 0.15
        assert np.mean([low < 0 < high for _, low, high in values]) >= 0.8

    def test_heads_that_all_do_the_same_have_no_order(self):
        flat = np.ones((N, LAYERS, HEADS))
        assert scores.score(flat, noise(0), SUBJECTS, CONFIG).rank_correlation.value == 0

    def test_no_statements(self):
        nothing = np.empty((0, LAYERS, HEADS))
        result = scores.score(nothing, nothing, np.empty(0, str), CONFIG)
        assert result.rank_correlation == stats.NOTHING
        assert scores.points(nothing, nothing, np.empty(0, str)) == []


def test_effects_toward_the_truth_change_sign_with_the_label():
    effect = patch.toward_right(np.ones((N, LAYERS, HEADS), np.float32), LABEL)
    np.testing.assert_array_equal(effect[:, 0, 0], np.where(LABEL, 1, -1))


def test_true_effects_are_differences_of_log_odds():
    """Statement s with head h of layer l patched: log-odds of "true" rise by s + 10 l + h."""
    result = pairs()

    def run(log_odds):
        p = 1 / (1 + np.exp(-log_odds))
        return np.stack([p, 1 - p], axis=1)

    before = np.linspace(-1, 1, N)
    rows = [patched_runs.rows(result, run(before), "liar", "liar")]
    for layer in range(LAYERS):
        for head in range(HEADS):
            p = run(before + 0.1 * np.arange(N) + layer + 0.1 * head)
            here = [Head(layer, head)]
            name = f"alone {layer}.{head}"
            rows.append(patched_runs.rows(result, p, "honest", "liar", name, here))
    shuffled = pl.concat(rows).sample(fraction=1.0, shuffle=True, seed=0)
    effects = estimates.true_effects(shuffled, result, LAYERS, HEADS)
    assert effects.shape == (N, LAYERS, HEADS)
    sign = np.where(LABEL, 1, -1)
    np.testing.assert_allclose(effects[:, 2, 3] * sign, 0.1 * np.arange(N) + 2.3, atol=1e-5)


def test_only_some_statements_keep_their_prompts():
    some = pairs().only(pl.Series(["03", "01", "03"]))
    assert some.table["statement_id"].to_list() == ["01", "03"]
    assert (some.source, some.base) == ([[1], [3]], [[13], [15]])


def test_the_table_of_effects_gives_back_what_it_was_made_from():
    result, estimated = pairs(), noise(5).astype(np.float32)
    rows = [patched_runs.rows(result, np.full((N, 2), 0.5), "liar", "liar")]
    for layer in range(LAYERS):
        for head in range(HEADS):
            p = np.tile([0.5 + 0.01 * layer + 0.001 * head, 0.3], (N, 1))
            here = [Head(layer, head)]
            rows.append(patched_runs.rows(result, p, "honest", "liar", f"{layer} {head}", here))
    patched = pl.concat(rows)
    table = estimates.rows(result, estimated, patched).sample(fraction=1, shuffle=True, seed=1)
    assert dict(table.schema) == head_effects.EFFECTS
    estimate, effect = scores.effects(table)
    np.testing.assert_array_equal(estimate, patch.toward_right(estimated, LABEL))
    true = estimates.true_effects(patched, result, LAYERS, HEADS)
    np.testing.assert_array_equal(effect, true)
    none = scores.effects(table.clear())
    assert scores.score(*none, np.empty(0, str), CONFIG).rank_correlation.n == 0
