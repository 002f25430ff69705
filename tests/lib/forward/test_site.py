"""Patching at every site, against transformers' own forward with hooks written out here."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from stages.lib import forward
from stages.lib.forward import batches, unembed
from stages.lib.forward.check import shortcut_is_exact
from stages.lib.forward.plain import PlainPrompts
from stages.lib.forward.prompts import Prompts
from stages.lib.forward.site import MLP_OUT, RESID_POST, SITES, Z
from stages.lib.io.cli import UserError
from tests import tiny
from tests.lib.forward.test_forward import POSITIONS, ROUNDING, prompts

# What gives the MLP's output, and the constant that the layer multiplies it with.
ADDED = {
    "mistral": ("mlp", 1.0),
    "qwen3": ("mlp", 1.0),
    "gemma2": ("post_feedforward_layernorm", 1.0),
    "granite": ("mlp", 0.5),
    "mixtral": ("mlp", 1.0),
    "gemma3_text": ("post_feedforward_layernorm", 1.0),
    "phi3": ("mlp", 1.0),
    "gpt_neox": ("mlp", 1.0),  # attention and MLP beside each other
    "olmo2": ("post_feedforward_layernorm", 1.0),
    "gpt2": ("mlp", 1.0),
    "deepseek_v2": ("mlp", 1.0),
    "deepseek_v3": ("mlp", 1.0),
    "minicpm3": ("mlp", 1.4 / 2),
}
CHANGES = {"granite": {"residual_multiplier": 0.5}, "minicpm3": {"scale_depth": 1.4}}
ROWS = [3, 1, 2]
AT = [[False, True, False, True, True], [True, *[False] * 4], [False] * 5]
# Layers that are patched: each alone, windows, and two that do not follow each other.
LAYERS = [[0], [1], [3], [0, 1], [2, 3], [0, 2], [0, 1, 2, 3]]


def model_of(architecture):
    return tiny.of(architecture, **CHANGES.get(architecture, {}))


def odd(architecture, **changes):
    """A small random model of an architecture that the shortcut does not fit."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(architecture, **(tiny.SIZES | changes))
    return tiny.wrap(AutoModelForCausalLM.from_config(config).eval())


def made(kind, model, site, base, source):
    """Base prompts, their run, and what to write into it, of `ROWS`."""
    of_base, of_source = (kind(model, ids, POSITIONS, site) for ids in (base, source))
    return of_base, of_base.run(ROWS, keep=True), of_source.run(ROWS).z


def close(result, expected):
    """float32 rounding of sums in another order, through four layers."""
    torch.testing.assert_close(result, expected, atol=50 * ROUNDING, rtol=1e-4)


def hooked(model, site, ids):
    """A site's tensor in layer 1 of one prompt, by a hook written here, and the logits."""
    kept = []
    if site is Z:
        projection = model.layers[1].self_attn.o_proj
        handle = projection.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    else:
        handle = module(model, site, "gemma2", 1).register_forward_hook(
            lambda _, __, output: kept.append(output)
        )
    with torch.no_grad():
        logits = model.model(torch.tensor([ids]), use_cache=False).logits
    handle.remove()
    return kept[0], logits


def module(model, site, architecture, layer):
    """The module that gives the tensor, by its name."""
    if site is RESID_POST:
        return model.layers[layer]
    return model.layers[layer].get_submodule(ADDED[architecture][0])


def reference(model, site, architecture, base, source, layers, at):
    """Logits of one patched prompt, run whole by transformers."""
    kept = {}

    def read(i):
        return lambda _, __, output: kept.update({i: output[:, -POSITIONS:]})

    def write(i):
        def hook(_, __, output):
            where = torch.tensor(at)[None, :, None]
            tail = torch.where(where, kept[i], output[:, -POSITIONS:])
            return torch.cat([output[:, :-POSITIONS], tail], dim=1)

        return hook

    for ids, hook in ((source, read), (base, write)):
        handles = [
            module(model, site, architecture, i).register_forward_hook(hook(i)) for i in layers
        ]
        with torch.no_grad():
            logits = model.model(torch.tensor([ids]), use_cache=False).logits[0, -1]
        for handle in handles:
            handle.remove()
    return logits


@pytest.mark.parametrize("site", [MLP_OUT, RESID_POST], ids=lambda site: site.name)
@pytest.mark.parametrize("architecture", ADDED)
def test_a_patch_is_that_of_hooks_on_transformers(architecture, site):
    """Single layers and windows, at all of the last positions and at some, both ways of running."""
    model = model_of(architecture)
    ids = [prompts(seed, 4, prefix=20) for seed in (4, 5)]
    assert shortcut_is_exact(model, ids[0], POSITIONS, site)
    runs = [made(kind, model, site, *ids) for kind in (Prompts, PlainPrompts)]
    for layers, at in product(LAYERS if architecture == "gemma2" else LAYERS[3:5], (None, AT)):
        written = at or [[True] * POSITIONS] * 3
        patch = np.zeros((1, model.n_layers, 1), bool)
        patch[0, layers] = True
        expected = [
            reference(model, site, architecture, ids[0][i], ids[1][i], layers, own)
            for i, own in zip(ROWS, written, strict=True)
        ]
        for prompts_, run, z in runs:
            where = None if at is None else torch.tensor(at)
            last = prompts_.patched(ROWS, run, z, patch, where)[0]
            result = unembed.logits(model, last).detach()
            close(result, torch.stack(expected))
            changed = (last - run.last).abs().amax(dim=1) > 10 * ROUNDING
            # In the last layer nothing is read but the last position.
            reach = [any(own if layers[0] < 3 else own[-1:]) for own in written]
            assert changed.tolist() == reach


@pytest.mark.parametrize("architecture", ADDED)
def test_a_layer_adds_what_its_attention_and_its_mlp_give(architecture):
    """The rest is the layer's output without its MLP; some multiply what they add by a constant."""
    model, ids = model_of(architecture), prompts(6, 3)
    name, constant = ADDED[architecture]

    def residual():
        return PlainPrompts(model, ids, POSITIONS).run([0, 1, 2]).residual

    whole, mlp = residual(), PlainPrompts(model, ids, POSITIONS, MLP_OUT).run([0, 1, 2]).z
    for layer in range(model.n_layers):
        inner = model.layers[layer].get_submodule(name)
        handle = inner.register_forward_hook(lambda _, __, output: torch.zeros_like(output))
        rest = residual()[layer + 1]
        handle.remove()
        close(rest + constant * mlp[layer, :, :, 0], whole[layer + 1])
        assert (rest - whole[layer]).abs().max() > 1e-3  # what attention adds
        assert (mlp[layer]).abs().max() > 1e-3


@pytest.mark.parametrize("kind", [Prompts, PlainPrompts])
@pytest.mark.parametrize("site", SITES.values(), ids=SITES)
class TestEverySite:
    """What holds at each site."""

    def test_units_and_their_width_are_those_that_are_captured(self, site, kind):
        model = model_of("gemma2")
        (n_units, width), n = site.shape(model), model.n_layers
        taken, _ = hooked(model, site, prompts(3)[0])
        assert taken.shape[-1] == n_units * width
        for keep in (False, True):
            run = kind(model, prompts(3), POSITIONS, site).run([0, 1], keep=keep)
            assert run.z.shape == (n, 2, POSITIONS, n_units, width)
            close(run.z[1, 0].flatten(1), taken[0, -POSITIONS:])

    def test_a_patch_of_itself_is_none_and_of_the_last_layer_is_the_source(self, site, kind):
        model, ids = model_of("qwen3"), [prompts(seed) for seed in (4, 5)]
        base, run, z = made(kind, model, site, *ids)
        other = kind(model, ids[1], POSITIONS, site).run(ROWS)
        patch = np.zeros((2, model.n_layers, site.shape(model)[0]), bool)
        for layer in range(model.n_layers):
            patch[:] = False
            patch[:, layer] = True
            patch[1, -1, 0] = True
            for last in base.patched(ROWS, run, run.z, patch):
                close(last, run.last)
        result = base.patched(ROWS, run, z, patch[:1])[0]
        assert torch.allclose(result, other.last, atol=ROUNDING) == (site is RESID_POST)

    def test_estimates_are_the_slope_of_the_patched_run(self, site, kind):
        model, ids = tiny.wrap(tiny.random_model().double()), [prompts(s, 4) for s in (24, 25)]
        base, run, z = made(kind, model, site, *ids)

        def read(last):
            logits = unembed.logits(model, last)
            return logits[:, 3] - logits[:, 4]

        gradient = base.gradient(ROWS, run, lambda logits: logits[:, 3] - logits[:, 4])
        estimate, step = ((z - run.z) * gradient).sum(dim=(2, 4)), 1e-3
        for layer in range(model.n_layers):
            patch = np.zeros((1, model.n_layers, site.shape(model)[0]), bool)
            patch[0, layer, 0] = True
            up, down = (
                read(base.patched(ROWS, run, run.z + d * (z - run.z), patch)[0]).detach()
                for d in (step, -step)
            )
            slope = (up - down) / (2 * step)
            torch.testing.assert_close(slope, estimate[layer, :, 0], rtol=1e-2, atol=1e-3)
            assert slope.abs().max() > 0.01


@pytest.mark.parametrize("site", [MLP_OUT, RESID_POST], ids=lambda site: site.name)
class TestPatcher:
    def test_patches_together_are_what_they_are_alone(self, site, answers, monkeypatch):
        monkeypatch.setattr(batches, "prompts_at_once", lambda _: 4)
        model = model_of("gemma2")
        patcher = forward.Patcher(
            model, answers, prompts(22), prompts(23), POSITIONS, keep=True, site=site
        )
        patches = np.zeros((6, model.n_layers, 1), bool)
        for i, layers in enumerate([[2], [], [0], [0, 3], [2, 3], [3]]):
            patches[i, layers] = True
        together = patcher(patches, "test")
        for patch, patched in zip(patches, together.patched, strict=True):
            alone = patcher(patch[None], "test").patched[0]
            np.testing.assert_allclose(patched, alone, atol=ROUNDING)
        np.testing.assert_array_equal(together.patched[1], together.base)
        of_source = np.abs(together.patched[5] - together.source).max() < ROUNDING
        assert of_source == (site is RESID_POST)
        given = patcher(patches, "test", z=patcher.z("z")[1]).patched
        np.testing.assert_allclose(given, together.patched, atol=ROUNDING)
        assert patcher.attribution("test").shape == (9, model.n_layers, 1)

    def test_no_prompts(self, site, answers):
        model = model_of("qwen3")
        patcher = forward.Patcher(model, answers, [], [], POSITIONS, site=site)
        assert patcher.attribution("test").shape == (0, model.n_layers, 1)

    def test_what_is_captured_for_others(self, site, answers):
        model, ids = model_of("gemma2"), prompts(3)
        (result,) = forward.capture(model, answers, ids, [-1, -3], 9, "test", site)
        assert result["z"].shape == (9, 2, model.n_layers, 1, model.d_model)
        if site is RESID_POST:
            np.testing.assert_array_equal(result["z"][:, :, :, 0], result["resid_post"][:, :, 1:])


class TestOddModels:
    def test_an_mlp_that_adds_the_residual_stream_itself_is_refused(self):
        model = odd("bloom")
        with pytest.warns(UserWarning, match="plain forwards"):
            shortcut_is_exact(model, prompts(15), POSITIONS, RESID_POST)
        with pytest.raises(UserError, match="patch.site: mlp_out: Bloom.*not what layer 0 adds"):
            shortcut_is_exact(model, prompts(15), POSITIONS, MLP_OUT)

    def test_a_norm_after_the_mlp_that_is_not_known_is_refused(self):
        model = model_of("gemma2")
        model = replace(model, mlps=tuple(modules[:1] for modules in model.mlps))
        with pytest.raises(UserError, match="not what layer 0 adds.* expected model.modules: mlp"):
            shortcut_is_exact(model, prompts(15), POSITIONS, MLP_OUT)

    def test_a_layer_without_an_mlp_of_a_known_name_is_refused(self):
        model = replace(model_of("qwen3"), mlps=((),) * 4)
        with pytest.raises(
            UserError, match="no MLP found in layer 0.*the layer has self_attn, mlp"
        ):
            shortcut_is_exact(model, prompts(15), POSITIONS, MLP_OUT)
        assert shortcut_is_exact(model, prompts(15), POSITIONS, RESID_POST)

    @pytest.mark.parametrize("site", [MLP_OUT, RESID_POST], ids=lambda site: site.name)
    def test_a_model_that_is_run_plainly(self, site):
        """Its MLP gives two things, of which the first is added."""
        model = odd("gpt_oss", num_local_experts=2, num_experts_per_tok=1, sliding_window=12)
        ids = [prompts(seed) for seed in (4, 5)]
        with pytest.warns(UserWarning, match="plain forwards"):
            assert not shortcut_is_exact(model, ids[0], POSITIONS, site)
        base, run, z = made(PlainPrompts, model, site, *ids)
        patch = np.zeros((1, model.n_layers, 1), bool)
        patch[0, 1] = True
        close(base.patched(ROWS, run, run.z, patch)[0], run.last)
        assert (base.patched(ROWS, run, z, patch)[0] - run.last).abs().max() > 1e-3

    def test_nothing_is_left_behind(self):
        model = model_of("gemma2")
        for site in SITES.values():
            assert shortcut_is_exact(model, prompts(15), POSITIONS, site)
        for module in model.model.modules():
            assert not module._forward_pre_hooks
            assert not module._forward_hooks
            assert "forward" not in vars(module)
