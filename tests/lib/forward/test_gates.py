"""Gated patches: 0 is no patch, 1 is the patch, and the slope at 0 is attribution patching."""

import numpy as np
import pytest
import torch

from stages.lib.forward import Patcher, gates
from stages.lib.forward.plain import PlainPrompts
from stages.lib.model import readout
from stages.lib.model.readout import log_probabilities
from tests import placed, planted, tiny

REACH = 20


@pytest.fixture(params=["llama", "gemma2", "gpt_neox"])
def setting(request):
    llama = request.param == "llama"
    lm = tiny.wrap(tiny.random_model()) if llama else tiny.of(request.param)
    about = planted.pairs(tiny.chatml_tokenizer(), 4)
    answers = readout.answers(lm.tokenizer, planted.WORDS)
    return Patcher(lm, answers, about.base, about.source, REACH)


def toward_true(patcher):
    def score(logits):
        both = log_probabilities(logits, patcher.answers)
        return both[:, 0] - both[:, 1]

    return score


def scored(patcher, row, strengths, at=None, cut=None, prompts=None):
    """Log-odds of one prompt with each of some gates, and the gates."""
    prompts = prompts or patcher.base
    base, source = prompts.run([row], keep=True), patcher.source.run([row])
    g = torch.as_tensor(strengths, dtype=torch.float32).requires_grad_()
    where = torch.ones(REACH, dtype=torch.bool) if at is None else at
    out = gates.score(prompts, row, base, source.z, g, where, toward_true(patcher), cut)
    return out, g


def of(p):
    """Log-odds of true."""
    return np.log(p[..., 0] / p[..., 1])


def some_patches(patcher):
    random = np.random.default_rng(0)
    shape = (5, patcher.lm.n_layers, patcher.lm.n_heads)
    return random.random(shape) < 0.3


def test_gates_of_0_and_1_are_the_patch(setting):
    patches = some_patches(setting)
    readouts = setting(patches, "test")
    for row in range(2):
        out, _ = scored(setting, row, patches)
        np.testing.assert_allclose(out.detach(), of(readouts.patched[:, row]), atol=2e-4)


def test_a_patch_at_some_positions(setting):
    patches = some_patches(setting)
    at = np.zeros((4, REACH), bool)
    at[:, ::3] = True
    readouts = setting(patches, "test", at=at)
    out, _ = scored(setting, 0, patches, torch.as_tensor(at[0]))
    np.testing.assert_allclose(out.detach(), of(readouts.patched[:, 0]), atol=2e-4)
    everywhere, _ = scored(setting, 0, patches)
    assert (out - everywhere).abs().max() > 1e-3


def test_the_slope_at_0_is_attribution_patching(setting):
    estimates = setting.attribution("test")
    for row in range(2):
        out, g = scored(setting, row, np.zeros((1, setting.lm.n_layers, setting.lm.n_heads)))
        (slope,) = torch.autograd.grad(out.sum(), g)
        np.testing.assert_allclose(slope[0], estimates[row], atol=1e-4)


def test_the_slope_is_that_of_finite_differences(setting):
    at = 0.4 * np.ones((1, setting.lm.n_layers, setting.lm.n_heads), np.float32)
    out, g = scored(setting, 0, at)
    (slope,) = torch.autograd.grad(out.sum(), g)
    step = np.zeros_like(at)
    step[0, 1, 0] = 1e-2
    up, down = (scored(setting, 0, at + s * step)[0] for s in (1, -1))
    assert float((up - down).detach()) / 2e-2 == pytest.approx(float(slope[0, 1, 0]), abs=2e-3)


def test_plain_prompts_give_the_same(setting):
    patches = some_patches(setting)
    plain = PlainPrompts(setting.lm, setting.base.token_ids, REACH)
    out, _ = scored(setting, 1, patches)
    same, _ = scored(setting, 1, patches, prompts=plain)
    torch.testing.assert_close(out, same, atol=2e-4, rtol=0)


def test_a_cut_changes_slopes_below_it_and_no_score(setting):
    lm = setting.lm
    none = np.zeros((2, lm.n_layers, lm.n_heads))
    cut = torch.zeros(2, lm.n_layers, 2, dtype=torch.bool)
    cut[1, 2] = True
    out, g = scored(setting, 0, none, cut=cut)
    (slope,) = torch.autograd.grad(out.sum(), g)
    torch.testing.assert_close(out[0], out[1])
    torch.testing.assert_close(slope[0, 3:], slope[1, 3:])
    assert not slope[1, 2].any()
    assert (slope[0, :2] - slope[1, :2]).abs().max() > 1e-4


def test_a_planted_head_alone_has_a_slope():
    result, counterparts = placed.planted()
    patcher = result.patcher()
    shape = (1, *result.shape)
    base, source = patcher.base.run([0], keep=True), patcher.source.run([0])
    g = torch.zeros(shape, requires_grad=True)
    where = torch.ones(patcher.base.n_tail, dtype=torch.bool)
    out = gates.score(patcher.base, 0, base, source.z, g, where, toward_true(patcher))
    (slope,) = torch.autograd.grad(out.sum(), g)
    top = np.unravel_index(int(slope[0].abs().argmax()), result.shape)
    assert top == (tiny.PLANTED_LAYER, tiny.PLANTED_HEAD)
    assert counterparts
