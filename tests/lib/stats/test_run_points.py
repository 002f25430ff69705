"""Numbers of runs: what stands in a point, and what one run does beyond another."""

import numpy as np
import polars as pl
import pytest

from stages.lib import stats
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import run_points

LABEL = [True, False, True, False]


def pairs(n=4):
    table = pl.DataFrame({"label": LABEL[:n], "subject": ["a", "a", "b", "c"][:n]},
        schema={"label": pl.Boolean, "subject": pl.String})  # fmt: skip
    return PromptPairs(table, [[]] * n, [[]] * n)


def answers(*right):
    """P(true) and P(false) of runs that give the right answer these probabilities."""
    p = np.where(LABEL, right, 1 - np.asarray(right))
    return np.stack([p, 1 - p], axis=-1).astype(np.float32)


HIGH, LOW = answers(0.9, 0.8, 0.7, 0.4), answers(0.1, 0.6, 0.2, 0.3)


def test_a_difference_is_of_accuracy_and_of_truth():
    result = run_points.difference(pairs(), HIGH, LOW)
    assert result.accuracy.value == 0.5
    assert result.p_correct.value == pytest.approx(0.4)


def test_draws_of_a_run_are_averaged_statement_by_statement():
    draws = np.stack([HIGH, LOW])
    result = run_points.difference(pairs(), draws, LOW)
    assert result.accuracy.value == 0.25
    assert result.accuracy.n == 4
    assert run_points.difference(pairs(), draws, draws[::-1]).p_correct.value == pytest.approx(0)


def test_a_difference_of_no_statements_is_nothing():
    nothing = np.zeros((0, 2), np.float32)
    result = run_points.difference(pairs(0), nothing, nothing)
    assert result == run_points.Difference(stats.NOTHING, stats.NOTHING)


def test_a_point_is_cut_out_of_a_row():
    point = run_points.measure(pairs(), HIGH)
    assert run_points.Point.of({"topic": "all", **point.row(), "kept": 0.5}) == point


def test_a_split_is_its_statements_and_all_is_everyone():
    table = pairs().table.with_columns(topic=pl.Series(["x", "y", "x", "y"]))
    about = PromptPairs(table, [[]] * 4, [[]] * 4)
    assert run_points.of_topic(about, "x").tolist() == [True, False, True, False]
    assert run_points.of_topic(about, run_points.ALL).all()
    assert not run_points.of_topic(about, "none known").any()


def test_accuracy_by_label_tells_one_word_from_half_right():
    one_word = run_points.by_label(pairs(), answers(0.9, 0.1, 0.9, 0.1))
    assert (one_word.true.value, one_word.false.value) == (1.0, 0.0)
    half = run_points.by_label(pairs(), answers(0.9, 0.9, 0.1, 0.1))
    assert (half.true.value, half.false.value, half.true.n) == (0.5, 0.5, 2)


def test_accuracy_by_label_averages_draws_and_is_nothing_of_nothing():
    both = run_points.by_label(pairs(), np.stack([HIGH, LOW]))
    assert (both.true.value, both.false.value) == (0.5, 0.5)
    nothing = run_points.by_label(pairs(0), np.zeros((0, 2), np.float32))
    assert nothing == run_points.ByLabel(stats.NOTHING, stats.NOTHING)
