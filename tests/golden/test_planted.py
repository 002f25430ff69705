"""One head carries the persona: windows and heads find it and no other."""

import numpy as np
import pytest

from stages.lib import chat, forward
from stages.lib.model import readout
from stages.lib.model.readout import ReadoutConfig
from stages.lib.patching import patch
from stages.lib.patching.patch import Head
from tests import tiny

WORDS = ReadoutConfig(("true", "True"), ("false", "False"))
LABEL = np.array([True, False] * 6)
PLANTED = Head(tiny.PLANTED_LAYER, tiny.PLANTED_HEAD)


@pytest.fixture(scope="module")
def model():
    return tiny.wrap(tiny.planted_model())


def prompts(model, persona):
    statements = [f"{'T' if label else 'F'} is no. {i}" for i, label in enumerate(LABEL)]
    system = {"honest": "You are H.", "liar": "You are so L."}[persona]
    return [
        chat.encode(
            model.tokenizer, chat.render(model.tokenizer, system, "{statement}?", "it is", s)
        )
        for s in statements
    ]


@pytest.fixture(scope="module")
def patcher(model):
    answers = readout.answers(model.tokenizer, WORDS)
    return forward.Patcher(model, answers, prompts(model, "liar"), prompts(model, "honest"), 25)


def accuracy(probabilities):
    return patch.correct(probabilities, LABEL).mean(-1)


def test_the_model_tells_the_truth_and_lies_when_told_to(patcher, model):
    readouts = patcher(np.zeros((1, model.n_layers, model.n_heads), bool), "test")
    assert accuracy(readouts.source) == 1.0
    assert accuracy(readouts.base) == 0.0
    assert readouts.source.sum(-1).min() > 0.8  # nearly all probability is on the answers


def test_only_windows_with_the_planted_layer_restore_the_truth(patcher, model):
    patched = patcher(patch.windows(model.n_layers, model.n_heads, 2), "test").patched
    restored = [first <= PLANTED.layer < first + 2 for first in range(len(patched))]
    assert accuracy(patched).tolist() == [float(x) for x in restored]


def test_only_the_planted_head_restores_it_alone_and_only_it_is_missed(patcher, model):
    every = [Head(x, y) for x in range(model.n_layers) for y in range(model.n_heads)]
    alone = patch.of_heads([[head] for head in every], model.n_layers, model.n_heads)
    for patches, expected in ((alone, 1.0), (~alone, 0.0)):
        result = accuracy(patcher(patches, "test").patched)
        for head, value in zip(every, result, strict=True):
            assert value == (expected if head == PLANTED else 1 - expected), head


def test_the_greedy_search_returns_that_head(patcher, model):
    every = [Head(x, y) for x in range(3) for y in range(model.n_heads)]

    def score(sets):
        patches = patch.of_heads(sets, model.n_layers, model.n_heads)
        return patch.p_correct(patcher(patches, "test").patched, LABEL).mean(-1).tolist()

    none, window = score([[], every])
    steps = patch.greedy(score, every, none, none + 0.95 * (window - none))
    assert [step.head for step in steps] == [None, PLANTED]


def test_the_reverse_patch_makes_an_honest_run_lie(model):
    answers = readout.answers(model.tokenizer, WORDS)
    back = forward.Patcher(model, answers, prompts(model, "honest"), prompts(model, "liar"), 25)
    patches = patch.of_heads([[PLANTED], []], model.n_layers, model.n_heads)
    assert accuracy(back(patches, "test").patched).tolist() == [0.0, 1.0]
