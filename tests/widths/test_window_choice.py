"""The best window of each size and direction, chosen on one split, and its control."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from stages.lib import chat, forward
from stages.lib.io.cli import UserError
from stages.lib.model import readout
from stages.lib.patching import patch
from stages.lib.stats.run_points import ALL
from stages.positions import __main__ as positions
from stages.widths import scores, window_choice, window_runs
from stages.widths.window_runs import DIRECTIONS, SizedWindow
from tests import tiny
from tests.intervals import there
from tests.placed import CONFIG, WORDS
from tests.windows.test_windows import pairs

LABELS = [True, True, False, False] * 3


def answers(result, p):
    """Runs that answer rightly with probability p."""
    return np.stack([np.where(result.label, p, 1 - p), np.where(result.label, 1 - p, p)], -1)


def runs(result, p_corrects, split="selection", wanted=None):
    """Runs of windows of one layer and of two in a model of five layers, by their p_correct."""
    made = [("source", None, answers(result, 1.0)), ("base", None, answers(result, 0.0))]
    for name, of_size in p_corrects.items():
        for size, values in of_size.items():
            made += [(name, SizedWindow(size, i), answers(result, p)) for i, p in enumerate(values)]
    return pl.concat(
        window_runs.rows(result, split, *run, CONFIG)
        for run in made
        if run[1] is None or wanted is None or run[1] in wanted
    )


TRUTHS = {
    "patched": {1: [0.1, 0.2, 0.9, 0.4, 0.3], 2: [0.1, 0.8, 0.8, 0.3]},
    "reverse": {1: [0.9, 0.8, 0.7, 0.1, 0.6], 2: [0.9, 0.8, 0.2, 0.2]},
}


def test_the_best_window_turns_most_and_ties_go_to_the_lowest():
    result = pairs(LABELS)
    choices = window_choice.choose(result, runs(result, TRUTHS), CONFIG)
    best = {key: choice.best.first for key, choice in choices.items()}
    assert best == {("patched", 1): 2, ("patched", 2): 1, ("reverse", 1): 3, ("reverse", 2): 2}


def test_the_control_is_the_median_of_those_that_share_no_layer():
    result = pairs(LABELS)
    choices = window_choice.choose(result, runs(result, TRUTHS), CONFIG)
    assert choices["patched", 1].control == SizedWindow(1, 1)  # of 0.1, 0.2, 0.3, 0.4
    assert choices["patched", 1].apart == pytest.approx((0.1, 0.2, 0.3, 0.4))
    assert choices["patched", 2].control == SizedWindow(2, 3)  # the only one
    assert choices["reverse", 2].control == SizedWindow(2, 0)
    for choice in choices.values():
        assert choice.control is not None
        assert not choice.best.overlaps(choice.control)
    whole = window_choice.choose(result, runs(result, {"patched": {5: [0.9]}}), CONFIG)
    assert whole["patched", 5].control is None
    assert window_choice.to_report(whole, "patched") == [SizedWindow(5, 0)]


def test_nothing_is_chosen_where_a_constant_answer_would_be_right():
    result = pairs([False] * 12)
    assert window_choice.choose(result, runs(result, TRUTHS), CONFIG) == {}


def test_tables_hold_both_directions_and_report_statements_that_did_not_choose():
    both = pairs(LABELS)
    split = both.table["split"] == "report"
    chosen_on, reported = (both.only(both.table["statement_id"].filter(x)) for x in (~split, split))
    swept = runs(chosen_on, TRUTHS)
    choices = window_choice.choose(chosen_on, swept, CONFIG)
    wanted = [window for name in DIRECTIONS for window in window_choice.to_report(choices, name)]
    scored = runs(reported, TRUTHS, "report", wanted)
    splits = {"selection": (chosen_on, swept), "report": (reported, scored)}
    topics = scores.by_topic(splits["report"], choices, (1, 2), [ALL, "a", "none known"], CONFIG)
    metrics = scores.summarise(splits, choices, topics, CONFIG)
    best = metrics.patched["1"].best
    assert (best.first_layer, best.last_layer) == (2, 2)
    assert (best.report["all"].accuracy, best.report["all"].n) == (1.0, 6)
    assert best.report["none known"].accuracy is None
    assert metrics.reverse["1"].best.report["all"].accuracy == 0.0
    assert there(metrics.reverse["1"].control).report["all"].accuracy == 1.0
    assert metrics.unpatched.report["base"]["all"].accuracy == 0.0
    difference = metrics.patched["1"].difference
    assert difference["best - base"].p_correct.value == pytest.approx(0.9)
    assert difference["best - control"].p_correct.value == pytest.approx(0.7)
    assert set(metrics.reverse["1"].difference) == {"best - source", "best - control"}
    layers = scores.by_layer(splits["selection"], choices, CONFIG)
    assert len([row for row in layers if row["chosen"]]) == 4
    assert len([row for row in layers if row["run"] == "reverse"]) == 9
    table = pl.concat([swept, scored])
    assert set(table.columns) == set(window_runs.SCHEMA)
    assert not table.select("statement_id", "base", "patch_id").is_duplicated().any()


def test_without_a_choice_unpatched_runs_are_left():
    result = pairs([])
    nothing = runs(result, {})
    splits = {"selection": (result, nothing), "report": (result, nothing)}
    topics = scores.by_topic(splits["report"], {}, (1, 2), [ALL, "a"], CONFIG)
    assert {row["accuracy"] for row in topics} == {None}
    metrics = scores.summarise(splits, {}, topics, CONFIG)
    assert (metrics.patched, metrics.reverse) == ({}, {})
    assert "not both labels" in metrics.chosen_by


def test_both_directions_find_the_planted_layer_and_no_window_without_it_does_anything():
    model = tiny.wrap(tiny.planted_model())
    words = readout.answers(model.tokenizer, WORDS)
    label = np.array([True, False] * 4)
    ids = {
        persona: [
            chat.encode(
                model.tokenizer,
                chat.render(
                    model.tokenizer, system, "{statement}?", "it is", f"{'FT'[int(x)]} no. {i}"
                ),
            )
            for i, x in enumerate(label)
        ]
        for persona, system in (("honest", "You are H."), ("liar", "You are so L."))
    }
    windows = window_runs.all_windows((1, 2, 5), model.n_layers)
    patches = patch.of_windows([window.span for window in windows], model.n_layers, model.n_heads)
    for base, source, extreme, turned in (
        ("liar", "honest", np.argmax, 1.0),
        ("honest", "liar", np.argmin, 0.0),
    ):
        readouts = forward.Patcher(model, words, ids[base], ids[source], 12)(patches, "test")
        right = patch.correct(readouts.patched, label).mean(-1)
        p_correct = patch.p_correct(readouts.patched, label).mean(-1)
        holds = [window.overlaps(SizedWindow(1, tiny.PLANTED_LAYER)) for window in windows]
        assert right.tolist() == [turned if x else 1 - turned for x in holds]
        assert windows[extreme(p_correct[:5])] == SizedWindow(1, tiny.PLANTED_LAYER)


def test_counts_that_no_prompt_has_are_left_out_and_said_so(capsys):
    result = pairs([True, False])
    short = replace(result, source=[[0] * 9] * 2, base=[[0] * 12] * 2)
    assert positions._fitting((9, 2, 10), short) == [2, 9]
    assert "left out 10: the shortest prompt has 9 tokens" in capsys.readouterr().out
    with pytest.raises(UserError, match="expected a count of at most 9"):
        positions._fitting((10, 11), short)
