"""Orders of heads, from tables of other stages."""

import numpy as np
import polars as pl
import pytest

from stages.lib.patching import head_effects, patched_runs
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.set_sizes import rankings

LAYERS, HEADS = 4, 5
EVERY = [Head(layer, head) for layer in range(LAYERS) for head in range(HEADS)]


def of_every_head(value):
    return {head: value(head) for head in EVERY}


def tables():
    """Estimates fall from the first head on, true effects rise, and layer 1 is the window."""
    estimates = of_every_head(lambda h: 1 - EVERY.index(h))
    log_odds = of_every_head(lambda h: -((EVERY.index(h) - 7) ** 2))
    effects = of_every_head(EVERY.index)
    left_out = {Head(1, h): h for h in range(HEADS)}
    return estimates, log_odds, effects, left_out


def test_each_rule_sorts_by_its_own_column():
    result = rankings.from_tables(*tables())
    assert result["estimate"] == EVERY
    assert result["single"] == EVERY[::-1]
    assert result["single_log_odds"][0] == EVERY[7]
    assert result["left_out"][:HEADS] == [Head(1, h) for h in (4, 3, 2, 1, 0)]
    assert rankings.by(tables()[3]) == result["left_out"][:HEADS]
    assert result["left_out"][HEADS:] == [h for h in EVERY[::-1] if h.layer != 1]
    for order in result.values():
        assert sorted(order) == EVERY


def test_the_top_tenth_by_estimate_is_put_in_true_order_and_the_rest_is_not():
    assert rankings.from_tables(*tables())["verified"] == [EVERY[1], EVERY[0], *EVERY[2:]]


def test_by_size_an_estimate_of_the_wrong_sign_is_verified_too():
    result = rankings.from_tables(*tables())["verified_absolute"]
    assert result == [EVERY[-1], EVERY[-2], *EVERY[:-2]]  # estimated far below 0, truly the best


def test_equal_heads_come_by_layer_and_head():
    assert rankings.by(dict.fromkeys(EVERY[::-1], 0.5)) == EVERY


def test_a_rule_that_nothing_was_measured_for_is_not_there():
    estimates, log_odds, effects, _ = tables()
    assert set(rankings.from_tables(estimates, log_odds, effects, {})) == {
        "estimate",
        "verified",
        "verified_absolute",
        "single",
        "single_log_odds",
    }
    assert rankings.from_tables({}, {}, {}, {}) == {}
    of_single_heads = rankings.from_tables({}, {}, of_every_head(EVERY.index), {})
    assert of_single_heads == {"single": EVERY[::-1]}


def test_random_orders_hold_every_head_once_and_follow_the_seed():
    result = rankings.random(LAYERS, HEADS, 3, seed=0)
    assert [sorted(order) for order in result] == [EVERY] * 3
    assert result[0] != result[1]
    assert result == rankings.random(LAYERS, HEADS, 3, seed=0)
    assert result != rankings.random(LAYERS, HEADS, 3, seed=1)
    assert all(type(number) is int for head in result[0] for number in head)


@pytest.mark.parametrize("first", [[], EVERY[3:5], EVERY])
def test_an_order_goes_on_as_another_without_repeating(first):
    result = rankings.continued(first, EVERY[::-1])
    assert result[: len(first)] == first
    assert sorted(result) == EVERY


def test_effects_are_gained_alone_and_lost_when_left_out_to_six_digits():
    table = pl.DataFrame({"statement_id": ["a", "b"], "label": [True, False]})
    result = PromptPairs(table, [], [])

    def run(right, name, heads=()):
        p = np.array([[right, 1 - right], [1 - right, right]], np.float32)
        return patched_runs.rows(result, p, "honest", "liar", name, heads)

    window = [Head(1, 0), Head(1, 10)]
    rows = [
        run(0.25, "none"),
        run(0.75, "window", window),
        run(0.125, "alone 1.10", window[1:]),
        run(0.3, "alone 1.0", window[:1]),
        run(0.5, "left_out 1.0", window[1:]),
        run(0.75, "left_out 1.10", window[:1]),
        run(0.6, "set 1.0 1.10", window),
    ]
    runs = pl.concat(rows).reverse()
    assert rankings.effects(runs, result, "alone") == {Head(1, 0): 0.05, Head(1, 10): -0.125}
    assert rankings.effects(runs, result, "left_out") == {Head(1, 0): 0.25, Head(1, 10): 0.0}
    assert rankings.effects(runs.clear(), result, "alone") == {}


def test_log_odds_effects_are_means_over_statements_to_six_digits():
    columns = {
        "statement_id": ["b", "a", "a", "b"],
        "layer": [0, 0, 0, 0],
        "head": [0, 0, 1, 1],
        "estimate": [1.0, 2.0, 3.0, 5.0],
        "effect": [0.0, 1 / 3, 1.0, -1.0],
    }
    table = pl.DataFrame(columns, schema=head_effects.EFFECTS)
    assert rankings.log_odds_effects(table) == (
        {Head(0, 0): 1.5, Head(0, 1): 4.0},
        {Head(0, 0): 0.166667, Head(0, 1): 0.0},
    )
    assert rankings.log_odds_effects(table.clear()) == ({}, {})
