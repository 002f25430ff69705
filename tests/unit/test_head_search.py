"""The search for a head set, on a patcher whose right answers add up over heads."""

import numpy as np
import polars as pl
import pytest

from stages.heads import head_search
from stages.lib.forward import Readouts
from stages.lib.patching.cases import Cases
from stages.lib.patching.patch import Head

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
        return Readouts(np.empty((N, 2)), np.empty((N, 2)), np.array(answers))


@pytest.fixture
def found():
    table = pl.DataFrame(
        {
            "statement_id": [str(i) for i in range(N)],
            "label": [True] * N,
            "subject": [str(i) for i in range(N)],
        }
    )
    return head_search.Search(AddingPatcher(), Cases(table, [], []), n_layers=4, n_heads=3)


def test_the_set_is_the_smallest_that_keeps_the_gain(found):
    result = head_search.search(found, {"first_layer": 1, "last_layer": 2}, keep=0.85)
    assert result["set"]["heads"] == [Head(1, 0), Head(2, 2)]
    assert [row["kept"] for row in result["sets"]] == pytest.approx([0, 0.5 / 0.9, 0.8 / 0.9])
    assert result["metrics"]["n_heads"] == 2


def test_effects_are_gained_alone_and_lost_when_left_out(found):
    rows = head_search.search(found, {"first_layer": 1, "last_layer": 2}, keep=0.85)["heads"]
    for measure in ("alone", "left_out"):
        effects = {
            Head(r["layer"], r["head"]): r["effect"] for r in rows if r["measure"] == measure
        }
        assert set(effects) == {Head(x, y) for x in (1, 2) for y in range(3)}
        for head, effect in effects.items():
            assert effect == pytest.approx(GAINS.get(head, 0.0), abs=1e-9)


def test_no_head_set_is_patched_twice(found):
    head_search.search(found, {"first_layer": 1, "last_layer": 2}, keep=1.0)
    patched = found.patcher.patched
    assert len(patched) == len(set(patched)) > 14  # none, window, 6 alone, 6 left out, then sets
