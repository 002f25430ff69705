"""Patches, scores, samples, the greedy search and random sets."""

import numpy as np
import pytest

from stages.lib.patching import patch
from stages.lib.patching.patch import Head


def test_windows_cover_every_start_and_the_last_one_ends_at_the_last_layer():
    windows = patch.windows(80, 64, 5)
    assert len(windows) == 76
    assert (windows.sum(axis=(1, 2)) == 5 * 64).all()
    assert windows[-1, 75:].all()
    assert windows.any(axis=0).all()


def test_a_patch_of_a_window_holds_all_heads_of_its_layers_and_no_other():
    patches = patch.of_windows([range(1, 3), range(0), range(3, 4)], 4, 2)
    assert patches.all(axis=2).tolist() == patches.any(axis=2).tolist()
    assert [np.flatnonzero(p.all(axis=1)).tolist() for p in patches] == [[1, 2], [], [3]]


def test_a_patch_of_heads_holds_these_and_no_other():
    patches = patch.of_heads([[Head(1, 2), Head(0, 3)], []], 3, 4)
    assert set(zip(*np.nonzero(patches[0]), strict=True)) == {(1, 2), (0, 3)}
    assert not patches[1].any()


def test_correct_and_truth():
    p = np.array([[0.6, 0.2], [0.1, 0.3], [0.0, 0.0]], np.float32)
    assert patch.correct(p, np.array([True, True, False])).tolist() == [True, False, True]
    np.testing.assert_allclose(patch.p_correct(p, np.array([True, True, False])), [0.75, 0.25, 0.5])


def test_log_odds_are_of_the_right_answer_and_finite():
    p = np.array([[0.75, 0.25], [0.75, 0.25], [0.0, 1.0]], np.float32)
    odds = patch.log_odds(p, np.array([True, False, True]))
    np.testing.assert_allclose(odds, [np.log(3), -np.log(3), np.log(patch.MIN_PROBABILITY)])


def test_a_perfect_liar_has_accuracy_and_truth_zero():
    label = np.array([True, False, True])
    p = np.stack([~label, label], axis=-1).astype(np.float32)
    assert patch.correct(p, label).mean() == 0.0
    assert patch.p_correct(p, label).mean() == 0.0


HEADS = [Head(layer, head) for layer in range(3) for head in range(4)]


class Additive:
    """Scores sets by the sum of their heads' gains, and counts the sets that were scored."""

    def __init__(self, gains: dict[Head, float]):
        self.gains, self.calls = gains, 0

    def __call__(self, sets: list[list[Head]]) -> list[float]:
        self.calls += len(sets)
        return [sum(self.gains.get(head, 0.0) for head in heads) for heads in sets]


def test_greedy_adds_the_best_heads_first_and_stops_at_the_target():
    score = Additive({Head(2, 1): 0.5, Head(0, 3): 0.3, Head(1, 1): 0.2})
    steps = patch.greedy(score, HEADS, 0.0, 0.79)
    assert [step.head for step in steps] == [None, Head(2, 1), Head(0, 3)]
    assert [step.score for step in steps] == pytest.approx([0.0, 0.5, 0.8])
    assert score.calls < 2 * len(HEADS)  # lazy: no head is tried again without need


def test_greedy_sees_that_a_second_head_adds_nothing():
    """Two copies of one head: the plain ranking would take both, greedy takes only one."""

    def score(sets):
        copies = {Head(0, 0), Head(0, 1)}
        return [0.6 * bool(copies & set(s)) + 0.3 * (Head(1, 0) in s) for s in sets]

    steps = patch.greedy(score, HEADS, 0.0, 0.85)
    assert [step.head for step in steps] == [None, Head(0, 0), Head(1, 0)]


def test_greedy_with_nothing_to_gain_is_the_empty_set():
    score = Additive({})
    assert patch.greedy(score, HEADS, 0.4, 0.4) == [patch.Step(None, 0.4)]
    assert score.calls == 0


def test_random_sets_have_the_size_and_the_layers():
    heads = [Head(4, 0), Head(4, 5), Head(7, 2)]
    sets = patch.random_sets(heads, n_heads=9, n_sets=50, seed=0)
    assert len(sets) == 50
    for drawn in sets:
        assert [head.layer for head in drawn] == [4, 4, 7]
        assert len(set(drawn)) == 3
    assert len({tuple(drawn) for drawn in sets}) > 30
    assert patch.random_sets(heads, 9, 50, seed=0) == sets
    assert patch.random_sets(heads, 9, 50, seed=1) != sets


@pytest.mark.parametrize(
    ("heads", "n_heads", "n_others"),
    [
        ([], 9, 0),
        ([(4, 0), (4, 1), (4, 2), (4, 3)], 4, 0),  # all heads of the layer
        ([(4, 2), (4, 0)], 3, 2),
        ([(4, i) for i in range(8)], 9, 8),
        ([(4, 0), (4, 1), (6, 0)], 2, 1),
    ],
)
def test_no_random_set_is_drawn_twice_or_is_the_set_itself(heads, n_heads, n_others):
    """Else a set of which there are few others would be beaten by itself, or by one set often."""
    heads = [Head(*head) for head in heads]
    sets = {tuple(drawn) for drawn in patch.random_sets(heads, n_heads, 100, seed=0)}
    assert len(patch.random_sets(heads, n_heads, 100, seed=0)) == len(sets) == n_others
    assert tuple(sorted(heads)) not in sets


def test_random_sets_of_other_layers_differ():
    heads = [Head(0, 0), Head(0, 1)]
    assert len(patch.random_elsewhere(heads, 2, 3, 50, seed=0)) == 3
    assert patch.random_elsewhere(heads, 2, 2, 50, seed=0) == [[Head(1, 0), Head(1, 1)]]
    assert patch.random_elsewhere(heads, 1, 2, 50, seed=0) == []
    assert patch.random_elsewhere([], 2, 2, 50, seed=0) == []
