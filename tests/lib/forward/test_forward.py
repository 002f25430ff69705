"""Theorems of the forward pass, on a tiny model with random weights."""

import math
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM

from stages.lib import forward
from stages.lib.forward import attention, batches, budget, filled, linear, unembed
from stages.lib.forward.check import shortcut_is_exact
from stages.lib.forward.plain import PlainPrompts
from stages.lib.forward.prompts import Prompts
from stages.lib.io.cli import UserError
from stages.lib.model import readout
from tests import tiny

POSITIONS = 5
# float32 rounding of sums in another order, through four layers.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def model():
    return tiny.wrap(tiny.random_model())


def prompts(seed, n=9, prefix=7):
    """Prompts of different lengths that share their first `prefix` tokens."""
    random = np.random.default_rng(seed)
    shared = random.integers(0, 250, prefix).tolist()
    return [[*shared, i, *random.integers(0, 250, 6 + 3 * i).tolist()] for i in range(n)]


def capture(model, answers, token_ids, positions, n_rows=4):
    """All chunks of a capture in one."""
    chunks = list(forward.capture(model, answers, token_ids, positions, n_rows, "test"))
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def mask(model, *heads):
    """One patch, of these heads: (1, n_layers, n_heads)."""
    patch = np.zeros((1, model.n_layers, model.n_heads), bool)
    for head in heads:
        patch[0][head] = True
    return patch


def test_capture_equals_transformers_hidden_states(model, answers):
    ids = prompts(0)
    got = capture(model, answers, ids, [-1, -3])
    for row, tokens in enumerate(ids):
        with torch.no_grad():
            out = model.model(torch.tensor([tokens]), output_hidden_states=True)
        # transformers' last hidden state is already normed: all but that one can be compared.
        expected = torch.stack(out.hidden_states[:-1])[:, 0, [-1, -3]].transpose(0, 1)
        np.testing.assert_allclose(got["resid_post"][row][:, :-1], expected, atol=ROUNDING)
        normed = model.model.model.norm(torch.from_numpy(got["resid_post"][row][0, -1]))
        np.testing.assert_allclose(normed.detach(), out.hidden_states[-1][0, -1], atol=ROUNDING)
        p = readout.probabilities(out.logits[:, -1], answers)
        np.testing.assert_allclose(got["readout"][row], p[0], atol=ROUNDING)


def test_a_batch_equals_one_by_one(model, answers):
    ids = prompts(1)
    together = capture(model, answers, ids, [-1])
    for row, tokens in enumerate(ids):
        alone = capture(model, answers, [tokens], [-1])
        for name in together:
            np.testing.assert_allclose(together[name][row], alone[name][0], atol=ROUNDING)


def test_order_of_prompts_does_not_matter(model, answers):
    ids = prompts(2)
    straight = capture(model, answers, ids, [-1], n_rows=9)
    turned = capture(model, answers, ids[::-1], [-1], n_rows=9)
    for name in straight:
        np.testing.assert_array_equal(straight[name], turned[name][::-1])


@pytest.mark.parametrize(("kind", "rounding"), [(Prompts, ROUNDING), (PlainPrompts, 0.0)])
def test_patching_a_run_with_itself_is_no_patch(model, kind, rounding):
    """Bit by bit in plain forwards; the shortcut multiplies fewer rows in the last layer."""
    runs = kind(model, prompts(3), POSITIONS)
    rows = list(range(9))
    run = runs.run(rows, keep=True)
    for first in range(model.n_layers):
        heads = mask(model, (first, 1), (model.n_layers - 1, slice(None)))
        patched = runs.patched(rows, run, run.z, heads)[0]
        torch.testing.assert_close(patched, run.last, atol=rounding, rtol=0)


def test_patching_with_another_run_changes_the_answer(model):
    rows = list(range(9))
    base = Prompts(model, prompts(4), POSITIONS)
    other = Prompts(model, prompts(5), POSITIONS).run(rows)
    run = base.run(rows, keep=True)
    for head in ((0, 0), (2, 3)):
        changed = base.patched(rows, run, other.z, mask(model, head))[0]
        assert (changed - run.last).abs().max() > 1e-3


@pytest.mark.parametrize("heads", [[(0, 1)], [(2, 0), (2, 3)], [(1, slice(None)), (3, 2)]])
def test_shortcut_and_plain_forward_agree_on_every_patch(model, heads):
    rows = list(range(9))
    lasts = []
    for kind in (Prompts, PlainPrompts):
        base = kind(model, prompts(6), POSITIONS)
        source = kind(model, prompts(7, prefix=4), POSITIONS)
        z = source.run(rows).z
        lasts.append(base.patched(rows, base.run(rows, keep=True), z, mask(model, *heads)))
    np.testing.assert_allclose(lasts[0], lasts[1], atol=10 * ROUNDING)


def test_what_the_last_layer_gives_at_earlier_positions_is_not_worked_out(model):
    rows = list(range(filled.LEAST))  # with fewer, there would be products that are filled
    base, source = (Prompts(model, prompts(seed, len(rows)), POSITIONS) for seed in (6, 7))
    run, z = base.run(rows, keep=True), source.run(rows).z
    also = {linear.ONEDNN: lambda x, weight, *_, **__: 2 * math.prod(x) * weight[0]}
    with FlopCounterMode(display=False, depth=cast(Any, None), custom_mapping=also) as counter:
        base.patched(rows, run, z, mask(model, (1, 0)))
    counts = {name: sum(of.values()) for name, of in counter.get_flop_counts().items()}
    for part in ("self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj"):
        before, last = (
            next(n for name, n in counts.items() if name.endswith(f"{layer}.{part}"))
            for layer in (model.n_layers - 2, model.n_layers - 1)
        )
        assert before == POSITIONS * last > 0
    keys = [n for name, n in counts.items() if name.endswith("k_proj")]
    assert len(set(keys)) == 1  # the last position looks at the others


def test_every_head_of_every_layer_gives_the_source_when_the_last_tokens_agree(model):
    """z decides everything after the embedding, and the patched tokens' embeddings are the same."""
    rows = [0, 1, 2]
    tail = [9] * POSITIONS
    base = Prompts(model, [ids + tail for ids in prompts(8, 3)], POSITIONS)
    source = Prompts(model, [ids + tail for ids in prompts(9, 3)], POSITIONS).run(rows)
    everything = np.ones((1, model.n_layers, model.n_heads), bool)
    run = base.run(rows, keep=True)
    patched = base.patched(rows, run, source.z, everything)[0]
    np.testing.assert_allclose(patched, source.last, atol=10 * ROUNDING)
    assert (run.last - source.last).abs().max() > 1e-2  # they do differ without the patch


@pytest.mark.parametrize("kind", [Prompts, PlainPrompts])
class TestAtSomePositions:
    """A patch that writes at some of the last positions of each prompt."""

    def run(self, model, kind, z_of, patch, at):
        rows, (base, other) = [3, 1, 2], (kind(model, prompts(seed), POSITIONS) for seed in (4, 5))
        run, source = base.run(rows, keep=True), other.run(rows)
        at = None if at is None else torch.tensor(at)
        return base.patched(rows, run, z_of(run, source), patch, at)[0], run

    def test_at_all_of_them_is_a_patch_and_at_none_is_no_patch(self, model, kind):
        patch = mask(model, (1, slice(None)), (2, slice(None)), (3, 1))
        z_of = lambda _, source: source.z  # noqa: E731
        patched, run = self.run(model, kind, z_of, patch, None)
        everywhere, _ = self.run(model, kind, z_of, patch, [[True] * POSITIONS] * 3)
        nowhere, _ = self.run(model, kind, z_of, patch, [[False] * POSITIONS] * 3)
        torch.testing.assert_close(everywhere, patched, atol=ROUNDING, rtol=0)
        torch.testing.assert_close(nowhere, run.last, atol=ROUNDING, rtol=0)
        assert (patched - run.last).abs().max() > 100 * ROUNDING

    def test_it_reads_z_at_those_positions_and_no_other(self, model, kind):
        patch = mask(model, (1, slice(None)), (2, 0))
        at = [[False, True, False, True, False], [True, *[False] * 4], [False] * 5]

        def spoilt(_, source):
            z = source.z.clone()
            z[:, ~torch.tensor(at)] = 1e3
            return z

        expected, run = self.run(model, kind, lambda _, source: source.z, patch, at)
        result, _ = self.run(model, kind, spoilt, patch, at)
        assert torch.equal(result, expected)
        changed = (result - run.last).abs().amax(dim=1)
        assert (changed > ROUNDING).tolist() == [True, True, False]

    def test_later_layers_see_what_was_written_at_earlier_positions(self, model, kind):
        # Freezing the other positions at the base run's z would be another intervention.
        patch = mask(model, (0, slice(None)), (1, slice(None)))
        at = torch.tensor([[True, *[False] * (POSITIONS - 1)]] * 3)

        def frozen(run, source):
            return torch.where(at[:, :, None, None], source.z, run.z)

        result, _ = self.run(model, kind, lambda _, source: source.z, patch, at.tolist())
        other, _ = self.run(model, kind, frozen, patch, None)
        assert (result - other).abs().max() > 10 * ROUNDING


def test_shortcut_and_plain_forward_agree_at_some_positions(model):
    rows, patch = [3, 1, 2], mask(model, (1, slice(None)), (2, slice(None)), (3, 1))
    at, lasts = torch.tensor([[0, 1, 0, 1, 1], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]]).bool(), []
    for kind in (Prompts, PlainPrompts):
        base, other = (kind(model, prompts(seed), POSITIONS) for seed in (4, 5))
        run = base.run(rows, keep=True)
        lasts.append(base.patched(rows, run, other.run(rows).z, patch, at)[0])
    torch.testing.assert_close(*lasts, atol=ROUNDING, rtol=0)


class TestGivenZ:
    """A patcher that writes other values than the source run's."""

    def test_its_own_z_given_is_what_it_writes_anyway(self, model, answers):
        patcher = forward.Patcher(model, answers, prompts(6), prompts(7), POSITIONS)
        base, source = patcher.z("z")
        patches = np.concatenate([mask(model, (1, 0), (2, 1)), mask(model, (3, slice(None)))])
        written = patcher(patches, "written")
        given = patcher(patches, "given", z=source)
        np.testing.assert_allclose(given.patched, written.patched, atol=ROUNDING)
        itself = patcher(patches, "itself", z=base)
        np.testing.assert_allclose(itself.patched, np.stack([written.base] * 2), atol=ROUNDING)
        assert np.abs(written.patched - written.base).max() > 100 * ROUNDING

    def test_rows_keep_their_own_values_and_positions(self, model, answers, monkeypatch):
        monkeypatch.setattr(batches, "prompts_at_once", lambda _: 2)  # several batches
        patches = mask(model, (1, slice(None)))
        at = np.random.default_rng(0).random((9, POSITIONS)) < 0.5
        patcher = forward.Patcher(model, answers, prompts(6), prompts(7), POSITIONS)
        z = patcher.z("z")[1] * 2
        together = patcher(patches, "together", z=z, at=at).patched
        for i in range(9):
            one = forward.Patcher(model, answers, [prompts(6)[i]], [prompts(7)[i]], POSITIONS)(
                patches, "one", z=z[:, [i]], at=at[[i]]
            )
            np.testing.assert_allclose(together[:, [i]], one.patched, atol=ROUNDING)


def test_hooks_are_gone_after_a_patch_and_after_an_error():
    model = tiny.wrap(tiny.random_model())
    rows = [0, 1]
    runs = Prompts(model, prompts(10, 2), POSITIONS)
    run = runs.run(rows, keep=True)
    wrong = torch.zeros(model.n_layers, 7, POSITIONS, model.n_heads, model.d_head)
    with pytest.raises((RuntimeError, IndexError)):
        runs.patched(rows, run, wrong, mask(model, (2, 0)))
    for module in (*model.layers, *model.output_projections):
        assert not module._forward_pre_hooks
        assert not module._forward_hooks
        assert "forward" not in vars(module)
    assert torch.equal(runs.run(rows, keep=True).last, run.last)


def test_an_architecture_that_the_shortcut_does_not_fit_is_run_plainly():
    model = tiny.wrap(tiny.random_model())
    assert shortcut_is_exact(model, prompts(11), POSITIONS)
    before = model.layers[2].forward

    def depends_on_length(hidden_states, **kwargs):
        return before(hidden_states, **kwargs) * (1 + 0.1 * hidden_states.shape[1])

    model.layers[2].forward = depends_on_length
    with pytest.warns(UserWarning, match="plain forwards, because the shortcut is not exact"):
        assert not shortcut_is_exact(model, prompts(11), POSITIONS)


def test_a_model_that_does_more_than_its_layers_is_refused():
    model = tiny.wrap(tiny.random_model())
    forward_ = model.model.forward

    def reads_backwards(input_ids, **kwargs):
        return forward_(input_ids=input_ids.flip(-1), **kwargs)

    model.model.forward = reads_backwards
    with pytest.raises(UserError, match="its decoder alone does not give its logits"):
        shortcut_is_exact(model, prompts(11), POSITIONS)


def test_models_spread_over_devices_keep_their_hooks():
    """accelerate replaces a layer's forward by one that moves tensors: a patch must not lose it."""
    model = tiny.wrap(tiny.random_model())
    calls = []
    for layer in model.layers:
        own = layer.forward

        def forward(*args, own=own, layer=layer, **kwargs):
            calls.append(layer)
            return own(*args, **kwargs)

        layer.forward = forward
    runs = Prompts(model, prompts(13, 2), POSITIONS)
    run = runs.run([0, 1], keep=True)
    calls.clear()
    runs.patched([0, 1], run, run.z, mask(model, (2, 0)))
    assert calls == list(model.layers[2:])
    calls.clear()
    runs.run([0, 1])
    assert set(calls) == set(model.layers)


def test_bfloat16_keeps_the_shortcut():
    assert shortcut_is_exact(tiny.wrap(tiny.random_model().bfloat16()), prompts(14), POSITIONS)


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_the_shortcut_fits_many_architectures(architecture):
    """Also where a window hides most of the prompt, or scores are capped."""
    model, rows = tiny.of(architecture), [0, 1, 2]
    lasts = []
    for kind in (Prompts, PlainPrompts):
        base = kind(model, prompts(15, 3, prefix=30), POSITIONS)
        z = kind(model, prompts(16, 3, prefix=25), POSITIONS).run(rows).z
        run = base.run(rows, keep=True)
        lasts.append(base.patched(rows, run, z, mask(model, (1, 1), (2, slice(None)), (3, 0))))
        lasts.append(run.last)
    np.testing.assert_allclose(lasts[0].detach(), lasts[2].detach(), atol=20 * ROUNDING)
    np.testing.assert_allclose(lasts[1].detach(), lasts[3].detach(), atol=20 * ROUNDING)
    assert (lasts[0] - lasts[1]).abs().max() > 1e-3
    for row, read in zip(prompts(15, 3, prefix=30), unembed.logits(model, lasts[1]), strict=True):
        whole = model.model(torch.tensor([row])).logits[0, -1]
        np.testing.assert_allclose(read.detach(), whole.detach(), atol=20 * ROUNDING)


# The second hides shared tokens, the third has values that are not as wide as keys.
@pytest.mark.parametrize("architecture", ["qwen3", "mistral", "deepseek_v3"])
def test_both_kinds_of_attention_are_one(architecture, monkeypatch):
    """Torch's kernel piece by piece, and one softmax over all scores: GPUs and gradients take it."""
    model, rows = tiny.of(architecture), list(range(9))
    patch = mask(model, (0, 1), (1, slice(None)), (2, 2))

    def both():
        base, source = (Prompts(model, prompts(seed, prefix=30), POSITIONS) for seed in (6, 7))
        run, of_source = base.run(rows, keep=True), source.run(rows)
        return of_source.z, base.patched(rows, run, of_source.z, patch)

    calls = []
    fused = attention.FUSED
    assert fused is not None
    monkeypatch.setattr(attention, "FUSED", lambda *a, **k: calls.append(1) or fused(*a, **k))
    result = both()
    assert calls
    monkeypatch.setattr(attention, "FUSED", None)
    for one, other in zip(result, both(), strict=True):
        torch.testing.assert_close(one, other, atol=ROUNDING, rtol=1e-4)


@pytest.mark.parametrize(("architecture", "what"), [("mistral", "window"), ("gemma2", "cap")])
def test_a_window_and_a_cap_do_change_the_answer(architecture, what):
    change = {"window": {"sliding_window": 4}, "cap": {"attn_logit_softcapping": 50.0}}[what]
    lasts = [
        Prompts(model, prompts(15, 3, prefix=30), POSITIONS).run([0, 1, 2]).last
        for model in (tiny.of(architecture), tiny.of(architecture, **change))
    ]
    assert (lasts[0] - lasts[1]).abs().max() > 1e-3


@pytest.mark.parametrize("architecture", ["deepseek_v2", "deepseek_v3", "minicpm3"])
def test_latent_attention_takes_the_shortcut(architecture):
    assert shortcut_is_exact(tiny.of(architecture), prompts(15), POSITIONS)


def test_llama_4_is_run_plainly_and_exactly():
    """Its attention sees chunks; where its decoder is, `get_decoder` does not say."""
    sizes = {"attention_chunk_size": 8, "intermediate_size_mlp": 48, "num_local_experts": 2}
    torch.manual_seed(0)
    config = AutoConfig.for_model("llama4_text", **(tiny.SIZES | sizes))
    model = tiny.wrap(AutoModelForCausalLM.from_config(config).eval())
    assert type(model.decoder).__name__ == "Llama4TextModel"
    with pytest.warns(UserWarning, match="plain forwards, because"):  # else it would raise
        assert not shortcut_is_exact(model, prompts(15), POSITIONS)


def test_a_model_that_cannot_run_is_one_line():
    model = tiny.wrap(tiny.random_model())

    def fails(*_, **__):
        raise RuntimeError("sizes\nmust match")

    model.layers[1].forward = fails
    with pytest.raises(
        UserError, match="transformers cannot run it on .* RuntimeError: sizes must"
    ):
        shortcut_is_exact(model, prompts(11), POSITIONS)


def test_a_model_with_several_residual_streams_is_refused():
    """Gemma 3n hands four of them from layer to layer."""
    sizes = {"vocab_size_per_layer_input": 277, "hidden_size_per_layer_input": 8}
    sizes |= {"num_kv_shared_layers": 0, "layer_types": ["full_attention"] * 4, "laurel_rank": 4}
    torch.manual_seed(0)
    config = AutoConfig.for_model("gemma3n_text", **(tiny.SIZES | sizes))
    with pytest.raises(UserError, match="Gemma3nForCausalLM: altup_num_inputs in config.json"):
        tiny.wrap(AutoModelForCausalLM.from_config(config).eval())


def test_attention_with_sinks_is_run_plainly():
    sizes = {"num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 12}
    torch.manual_seed(0)
    config = AutoConfig.for_model("gpt_oss", **(tiny.SIZES | sizes))
    model = tiny.wrap(AutoModelForCausalLM.from_config(config).eval())
    with pytest.warns(UserWarning, match="it fails: NotImplementedError: attention with s_aux"):
        assert not shortcut_is_exact(model, prompts(15), POSITIONS)


def test_a_shortcut_that_fits_the_base_but_not_the_source_is_not_taken(answers):
    model = tiny.wrap(tiny.random_model())
    before = model.layers[2].forward

    def other_when_long(hidden_states, **kwargs):
        return before(hidden_states, **kwargs) * (2 if hidden_states.shape[1] > 50 else 1)

    model.layers[2].forward = other_when_long
    base, source = prompts(15, n=5), prompts(16, n=5, prefix=40)
    assert shortcut_is_exact(model, base, POSITIONS)
    with pytest.warns(UserWarning, match="plain forwards"):
        patcher = forward.Patcher(model, answers, base, source, POSITIONS)
    assert isinstance(patcher.base, PlainPrompts)


class TestStacks:
    def test_patches_together_are_what_they_are_alone(self, model):
        rows = list(range(9))
        base = Prompts(model, prompts(20), POSITIONS)
        z = Prompts(model, prompts(21), POSITIONS).run(rows).z
        run = base.run(rows, keep=True)
        alone = [mask(model, (1, 0)), mask(model, (1, 2), (3, 1)), mask(model, (1, slice(None)))]
        together = base.patched(rows, run, z, np.concatenate(alone))
        for patch, last in zip(alone, together, strict=True):
            one = base.patched(rows, run, z, patch)[0]
            np.testing.assert_allclose(last, one, atol=ROUNDING)
        assert (together[0] - together[1]).abs().max() > 1e-3

    def test_a_patcher_gives_each_patch_its_own_place(self, model, answers):
        """Patches that begin in different layers, and one of no heads, in any order."""
        patches = np.concatenate(
            [mask(model, (2, 1)), mask(model), mask(model, (0, 3)), mask(model, (2, 0), (3, 0))]
        )
        patcher = forward.Patcher(model, answers, prompts(22), prompts(23), POSITIONS)
        result = patcher(patches, "test")
        for patch, patched in zip(patches, result.patched, strict=True):
            one = patcher(patch[None], "test").patched[0]
            np.testing.assert_allclose(patched, one, atol=ROUNDING)
        np.testing.assert_array_equal(result.patched[1], result.base)
        assert len({tuple(p[0]) for p in result.patched}) == 4

    @pytest.mark.parametrize("budget", ["1e-9", "1e-3", "1"])
    def test_the_budget_decides_on_batches_and_on_nothing_else(
        self, model, answers, monkeypatch, budget
    ):
        patches = np.concatenate([mask(model, (2, 1)), mask(model, (2, 0))])
        base, source = ([ids[:20] for ids in prompts(seed, 40)] for seed in (22, 23))
        expected = forward.Patcher(model, answers, base, source, POSITIONS)(patches, "test").patched
        monkeypatch.setenv("MEMORY_BUDGET_GB", budget)
        patcher = forward.Patcher(model, answers, base, source, POSITIONS)
        assert len(patcher._batches(range(len(base)))) == {"1e-9": 3, "1e-3": 3, "1": 1}[budget]
        np.testing.assert_array_equal(patcher(patches, "test").patched, expected)

    @pytest.mark.parametrize("text", ["much", "0", "-1", "nan"])
    def test_a_budget_that_is_none(self, model, answers, monkeypatch, text):
        monkeypatch.setenv("MEMORY_BUDGET_GB", text)
        with pytest.raises(UserError, match=f"MEMORY_BUDGET_GB: found '{text}', expected gig"):
            forward.Patcher(model, answers, prompts(22), prompts(23), POSITIONS)(
                mask(model, (2, 1)), "test"
            )


class TestGradient:
    """Attribution is the first-order part of a patch's effect."""

    @pytest.mark.parametrize("kind", [Prompts, PlainPrompts])
    def test_it_is_the_slope_of_the_patched_run(self, kind):
        model, rows = tiny.wrap(tiny.random_model().double()), [0, 1, 2]
        base = kind(model, prompts(24, 3), POSITIONS)
        other = kind(model, prompts(25, 3), POSITIONS).run(rows).z
        run = base.run(rows, keep=True)

        def score(logits):
            return logits[:, 3] - logits[:, 4]

        def read(last):
            return score(unembed.logits(model, last)).detach()

        gradient = base.gradient(rows, run, score)
        step = 1e-2  # norms run in float32
        for layer, head in ((0, 1), (1, 3), (3, 0)):
            up, down = (
                read(
                    base.patched(
                        rows, run, run.z + d * (other - run.z), mask(model, (layer, head))
                    )[0]
                )
                for d in (step, -step)
            )
            expected = ((other - run.z) * gradient)[layer, :, :, head].sum(dim=(1, 2))
            np.testing.assert_allclose((up - down) / (2 * step), expected, rtol=1e-2, atol=1e-3)
            assert expected.abs().max() > 0.1

    def test_all_heads_of_all_prompts(self, model, answers):
        patcher = forward.Patcher(model, answers, prompts(24), prompts(25), POSITIONS)
        result = patcher.attribution("test")
        assert result.shape == (9, model.n_layers, model.n_heads)
        one = forward.Patcher(model, answers, prompts(24)[4:5], prompts(25)[4:5], POSITIONS)
        np.testing.assert_allclose(result[4], one.attribution("test")[0], atol=10 * ROUNDING)

    def test_nothing_is_left_behind(self, answers):
        model = tiny.wrap(tiny.random_model())
        forward.Patcher(model, answers, prompts(24), prompts(25), POSITIONS).attribution("test")
        for module in model.model.modules():
            assert not module._forward_pre_hooks
            assert not module._forward_hooks
        assert all(p.grad is None for p in model.model.parameters())


def test_logits_that_are_no_numbers_are_refused(answers):
    broken = tiny.random_model()
    torch.nn.init.constant_(broken.lm_head.weight, float("nan"))
    with pytest.raises(UserError, match="logits are not finite"):
        capture(tiny.wrap(broken), answers, prompts(17), [-1])


def test_processes_cut_the_same_batches(model, monkeypatch):
    """Each sees another amount of free memory: the least of them decides for all."""
    alone = Prompts(model, prompts(3), POSITIONS)
    assert batches.prompts_at_once(alone) > 2
    monkeypatch.setattr(batches, "gather", lambda results: [*results, 2])
    assert batches.prompts_at_once(alone) == 2


def test_no_more_rows_are_unembedded_at_once_than_fit(model, answers, monkeypatch):
    rows = torch.randn(7, model.d_model)
    (whole,) = unembed.readouts(model, answers, [("all", rows)])
    sizes, own = [], unembed.logits
    monkeypatch.setattr(
        unembed, "logits", lambda lm, last: sizes.append(len(last)) or own(lm, last)
    )
    monkeypatch.setattr(budget, "rows_to_unembed", lambda lm: 3)
    parts = list(unembed.readouts(model, answers, [("a", rows[:2]), ("b", rows[2:])]))
    assert sizes == [3, 3, 1]
    np.testing.assert_allclose(np.concatenate([p for _, p in parts]), whole[1], atol=ROUNDING)


@pytest.mark.parametrize("key", ["patch.positions", "erasure.positions"])
def test_more_positions_than_tokens_is_refused(model, answers, key):
    ids = prompts(12)
    named = {} if key == "patch.positions" else {"key": key}
    with pytest.raises(UserError) as error:
        forward.Patcher(model, answers, ids, ids, 40, **named)
    expected = "the last 40 positions asked for, expected at most 14, as many as the shortest"
    assert str(error.value) == f"params.yaml: {key}: {expected} prompt has tokens"
    with pytest.raises(UserError, match=f"activations.positions: {expected}"):
        next(forward.capture(model, answers, ids, [-40, -1], 4, "test"))


def test_no_prompts_give_no_rows(model, answers):
    patcher = forward.Patcher(model, answers, [], [], POSITIONS)
    readouts = patcher(np.ones((3, model.n_layers, model.n_heads), bool), "test")
    assert readouts.patched.shape == (3, 0, 2)
