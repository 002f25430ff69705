"""The search for a head set, on a patcher whose right answers add up over heads."""

from typing import Any, cast

import numpy as np
import polars as pl
import pytest

from stages.heads import schema, scores, search
from stages.heads.metrics import NoHeads
from stages.lib.forward import Readouts
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.head_runs import HeadRuns
from stages.lib.patching.layer_window import Window
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import run_points
from tests.intervals import of_type

GAINS = {Head(1, 0): 0.5, Head(2, 2): 0.3, Head(1, 1): 0.1}
N = 4


class AddingPatcher:
    """P(right) is 0.05 and the gains of the heads that are written; counts what it patched."""

    def __init__(self):
        self.patched = []

    def __call__(self, patches, title):
        right = []
        for heads in patches:
            self.patched.append(heads.tobytes())
            right.append(0.05 + sum(gain for head, gain in GAINS.items() if heads[head]))
        answers = [np.tile([p, 1 - p], (N, 1)) for p in right]  # every statement is true
        base = np.tile([0.05, 0.95], (N, 1))
        return Readouts(base, np.empty((N, 2)), np.array(answers))


WINDOW = Window(1, 2)
CONFIG = PatchConfig("honest", "liar", 25)


@pytest.fixture
def runs():
    statements = pl.DataFrame(
        {
            "statement_id": [str(i) for i in range(N)],
            "label": [True] * N,
            "subject": [str(i) for i in range(N)],
        }
    )
    return HeadRuns(cast(Any, AddingPatcher()), PromptPairs(statements, [], []), (4, 3), "test")


def searched(runs, keep):
    """What a search finds, and its rows as the stage writes them."""
    result = search.search(runs, WINDOW, keep)
    rows = schema.rows(runs.pairs, CONFIG, result.sets, result.probabilities, result.order, 12)
    return result, rows


def test_the_set_is_the_smallest_that_keeps_the_gain(runs):
    result, rows = searched(runs, keep=0.85)
    assert result.order == [Head(1, 0), Head(2, 2)]
    assert result.gains
    sets = scores.by_step(runs.pairs, rows)
    assert [row["recovered"] for row in sets] == pytest.approx([0, 0.5 / 0.9, 0.8 / 0.9], abs=1e-7)
    assert [(row["size"], row["layer"], row["head"]) for row in sets] == [
        (0, None, None),
        (1, 1, 0),
        (2, 2, 2),
    ]
    metrics = scores.summarise(runs.pairs, rows, sets)
    assert metrics.n_heads == 2
    assert metrics.share_of_all_heads == 2 / 12


def test_effects_are_gained_alone_and_lost_when_left_out(runs):
    rows = searched(runs, keep=0.85)[1].sample(fraction=1, shuffle=True, seed=0)
    for kind in ("alone", "left_out"):
        scored = run_points.by_head(runs.pairs, rows, kind)
        assert {row["measure"] for row in scored} == {kind}
        effects = {
            Head(of_type(int, row["layer"]), of_type(int, row["head"])): row["effect"]
            for row in scored
        }
        assert set(effects) == {Head(x, y) for x in (1, 2) for y in range(3)}
        for head, effect in effects.items():
            assert effect == pytest.approx(GAINS.get(head, 0.0), abs=1e-7)


def test_no_head_set_is_patched_twice(runs):
    result, rows = searched(runs, keep=1.0)
    patched = runs._patcher.patched
    assert len(patched) == len(set(patched)) > 14  # none, window, 6 alone, 6 left out, then sets
    assert len(result.sets) == len(patched)
    steps = rows.drop_nulls("step").unique("patch_id").sort("step")
    assert steps["step"].to_list() == list(range(len(result.order) + 1))
    assert steps["heads"].list.len().to_list() == steps["step"].to_list()


def test_without_a_window_there_are_no_rows_and_the_metrics_say_why(runs):
    empty = pl.DataFrame(schema=schema.SCHEMA)
    nobody = runs.pairs.only(empty["statement_id"])
    assert run_points.by_head(nobody, empty, "alone") == scores.by_step(nobody, empty) == []
    assert scores.summarise(nobody, empty, []) == NoHeads(None, None, chosen_by=schema.NOTHING)
