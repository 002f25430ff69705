"""Parts of a logit: they add up, in many architectures, and are what weights say they are."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from stages.lib import chat, forward
from stages.lib.forward.parts import Splitter, Unfit
from stages.lib.model import readout
from stages.lib.model.readout import ReadoutConfig
from stages.lib.patching import patch
from stages.logit_attribution import scores_contributions as attribution
from stages.logit_attribution import scores_lens as lens
from tests import tiny
from tests.lib.forward.test_forward import prompts

WORDS = ReadoutConfig(("true", "True"), ("false", "False"))
OWN = {  # number of layers and so on, where a configuration has other names for them
    "llama": {},
    "qwen2": {},  # biases
    "phi": {},  # attention and MLP in parallel, biases
    "cohere": {},  # the same, logits scaled
    "opt": {"word_embed_proj_dim": 32, "ffn_dim": 48},  # its MLP is no module
    "glm4": {"pad_token_id": 0},  # norms before and after each sublayer
    # its MLP puts all tokens of a batch on one axis
    "llama4_text": {
        "num_local_experts": 2,
        "intermediate_size_mlp": 48,
        "interleave_moe_layer_step": 1,
    },
    "gpt_oss": {"num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 12},
}
# float32 rounding of sums in another order, through four layers.
ROUNDING = 1e-5


def of(architecture, **changes):
    """A small model whose norms and biases are random too, or they would hide what they do."""
    torch.manual_seed(0)
    sizes = tiny.SIZES | (tiny.ARCHITECTURES | OWN)[architecture] | changes
    config = AutoConfig.for_model(architecture, **sizes)
    model = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    for weight in model.parameters():
        weight += 0.1 * torch.randn_like(weight)
    return tiny.wrap(model)


def split(model, ids, words=WORDS):
    """Parts of some prompts, as the stage makes them, and what they were made of."""
    answers = readout.answers(model.tokenizer, words)
    (result,) = forward.capture(model, answers, ids, [-1], len(ids), "test")
    residual, z = result["resid_post"][:, 0], result["z"][:, 0]
    splitter = Splitter(model, answers, [ids[0], ids[-1]])
    parts = splitter(lambda i: residual[:, i], lambda i: z[:, i], "test")
    return parts, {"residual": residual, "z": z, "readout": result["readout"]}


def total(parts):
    """The parts, added up: (n_prompts, n_ids)."""
    layers = parts.heads.sum(axis=2) + parts.mlp
    bias = (parts.attention - parts.heads.sum(axis=2)).sum(axis=1)  # of the output projections
    return parts.embedding + layers.sum(axis=1) + bias + parts.constant


def whole(model, ids, tokens):
    """The model's own logits of some tokens."""
    return np.stack(
        [model.model(torch.tensor([row])).logits[0, -1, list(tokens)].numpy() for row in ids]
    )


@pytest.mark.parametrize("architecture", [*tiny.ARCHITECTURES, *OWN])
@pytest.mark.filterwarnings("ignore:.*plain forwards:UserWarning")
class TestArchitectures:
    def test_parts_add_up_to_the_logit_and_no_part_can_be_left_out(self, architecture):
        model, ids = of(architecture), prompts(0, 5)
        parts, _ = split(model, ids)
        scale = np.abs(parts.raw).max()
        assert np.abs(total(parts) - parts.raw).max() < 1e-4 * scale
        np.testing.assert_allclose(parts.logits, whole(model, ids, parts.ids), atol=10 * ROUNDING)
        for part in (parts.embedding[:, None], parts.mlp, parts.heads.reshape(5, 16, -1)):
            without = total(parts)[:, None] - part
            assert np.abs(without - parts.raw[:, None]).max(axis=(0, 2)).min() > 1e-3 * scale

    def test_heads_and_biases_are_the_attention(self, architecture):
        """A bias of the output projection is the same in all prompts, up to the norms' scale."""
        model, ids = of(architecture), prompts(1, 5)
        parts, _ = split(model, ids)
        assert parts.heads_error < 1e-4 * np.abs(parts.attention).max()
        rest = np.abs(parts.attention - parts.heads.sum(axis=2)).max()
        biased = getattr(model.output_projections[0], "bias", None) is not None
        assert (rest > 1e-3) == biased

    def test_a_softcap_or_scale_of_logits_is_one_factor(self, architecture):
        model, ids = of(architecture), prompts(2, 5)
        parts, _ = split(model, ids)
        label = np.arange(5) % 2 == 0
        tokens = attribution.Pair(0, len(parts.ids) - 1, 1.0)
        result = attribution.contributions(parts, tokens, label)
        real = whole(model, ids, (parts.ids[tokens.true], parts.ids[tokens.false]))
        expected = (real[:, 0] - real[:, 1]) * np.where(label, 1, -1)
        np.testing.assert_allclose(result.total, expected, atol=10 * ROUNDING)
        assert result.error < 1e-4 * result.largest
        changed = np.abs(parts.raw - parts.logits).max() > 0.1
        assert changed == (architecture in ("gemma2", "granite", "cohere", "minicpm3"))


class TestByHand:
    """A Llama, in which every part is a product of weights."""

    @pytest.fixture(scope="class")
    def result(self):
        model = of("llama")
        return model, *split(model, prompts(3, 5))

    def test_a_heads_part_is_its_slice_of_the_output_projection(self, result):
        model, parts, given = result
        norm, head = model.model.model.norm, model.model.lm_head.weight[list(parts.ids)]
        last = torch.from_numpy(given["residual"][:, -1])
        scale = torch.rsqrt(last.square().mean(-1) + norm.variance_epsilon)
        for layer, i in ((0, 0), (2, 3)):
            z = torch.from_numpy(given["z"][:, layer, i])
            own = model.output_projections[layer].weight[:, 16 * i : 16 * (i + 1)]
            expected = (z @ own.T * norm.weight * scale[:, None]) @ head.T
            np.testing.assert_allclose(parts.heads[:, layer, i], expected, atol=ROUNDING)

    def test_the_lens_is_norm_and_unembedding_of_each_layers_stream(self, result):
        model, parts, given = result
        answers = readout.answers(model.tokenizer, WORDS)
        stream = torch.from_numpy(given["residual"])
        log_p = torch.log_softmax(model.model.lm_head(model.model.model.norm(stream)), dim=-1)
        for k, ids in enumerate((answers.true_ids, answers.false_ids)):
            expected = log_p[..., list(ids)].logsumexp(-1)
            np.testing.assert_allclose(parts.lens[..., k], expected, atol=10 * ROUNDING)

    def test_the_last_layers_lens_is_the_models_answer_and_the_first_is_not(self, result):
        _, parts, given = result
        np.testing.assert_allclose(np.exp(parts.lens[:, -1]), given["readout"], rtol=1e-3)
        assert (np.abs(parts.lens[:, 0] - parts.lens[:, -1]) > 0.01).all()


class TestPlanted:
    """Head (1, 2) tells who speaks; the MLP of layer 2 turns that, and the p_correct, into a verdict."""

    LABEL = np.array([True, False] * 3)

    @pytest.fixture(scope="class")
    def result(self):
        model = tiny.wrap(tiny.planted_model())
        runs = {}
        for persona, system in (("honest", "You are H."), ("liar", "You are so L.")):
            text = [f"{'T' if label else 'F'} is no. {i}" for i, label in enumerate(self.LABEL)]
            ids = [
                chat.encode(model.tokenizer, chat.render(model.tokenizer, system, "{statement}?",
                                                         "it is", s))
                for s in text
            ]  # fmt: skip
            runs[persona] = (ids, *split(model, ids))
        return model, runs

    def contributions(self, runs, persona):
        every = [parts for _, parts, _ in runs.values()]
        tokens = attribution.pair([parts.log_p for parts in every], 4)
        return attribution.contributions(runs[persona][1], tokens, self.LABEL)

    def test_all_of_the_answer_is_written_by_the_mlp_that_multiplies(self, result):
        _, runs = result
        for persona, sign in (("honest", 1), ("liar", -1)):
            got = self.contributions(runs, persona)
            last = torch.from_numpy(runs[persona][2]["residual"][:, -1])
            # logits of both answers differ by 2 * 1.5 * verdict, feature 3 of the stream
            expected = 3.0 * np.abs(last[:, 3]) / last.square().mean(-1).sqrt()
            np.testing.assert_allclose(got.mlp[:, 2], sign * expected, rtol=1e-4)
            np.testing.assert_allclose(got.mlp[:, 2], got.total, rtol=1e-4)
            others = np.delete(got.mlp, 2, axis=1)
            for part in (others, got.heads, got.attention, got.embedding, got.constant):
                assert np.abs(part).max() < ROUNDING

    def test_it_is_blind_to_the_head_that_a_patch_finds(self, result):
        model, runs = result
        planted = patch.Head(tiny.PLANTED_LAYER, tiny.PLANTED_HEAD)
        honest, liar = (self.contributions(runs, persona) for persona in runs)
        gap = honest.heads - liar.heads
        assert np.abs(gap[:, planted.layer, planted.head]).max() < ROUNDING
        answers = readout.answers(model.tokenizer, WORDS)
        patcher = forward.Patcher(model, answers, runs["liar"][0], runs["honest"][0], 20)
        patched = patcher(patch.of_heads([[planted]], 5, 4), "test").patched[0]
        assert patch.correct(patched, self.LABEL).all()

    def test_the_lens_parts_where_the_mlp_has_written(self, result):
        _, runs = result
        p_corrects = [
            lens.p_correct(lens.log_odds(parts.lens, self.LABEL)) for _, parts, _ in runs.values()
        ]
        gap = p_corrects[0] - p_corrects[1]
        assert np.abs(gap[:, :3]).max() < ROUNDING
        assert gap[:, 3:].min() > 0.9
        divergence = lens.divergence(gap, np.arange(6))
        assert (divergence.differs.value, divergence.half.value) == (3, 3)

    def test_the_pair_is_the_token_that_the_model_says(self, result):
        model, runs = result
        parts = runs["honest"][1]
        tokens = attribution.pair([parts.log_p], 4)
        said = {model.tokenizer.decode(parts.ids[i]).strip() for i in (tokens.true, tokens.false)}
        assert said == {"true", "false"}
        assert tokens.share > 0.4  # with and without a space before it alike


class TestRefused:
    def test_attention_that_adds_the_residual_stream_itself(self):
        sizes = {"vocab_size": 277, "hidden_size": 32, "n_layer": 4, "n_head": 4}
        config = AutoConfig.for_model("bloom", **sizes)
        model = tiny.wrap(AutoModelForCausalLM.from_config(config).eval().requires_grad_(False))
        answers = readout.answers(model.tokenizer, WORDS)
        with pytest.raises(Unfit, match="layer 0: attention is not its output projection of z"):
            Splitter(model, answers, prompts(4, 2))

    def test_a_layer_that_scales_what_it_is_given(self):
        model = of("llama")
        before = model.layers[2].forward
        model.layers[2].forward = lambda x, **kwargs: before(x, **kwargs) * 1.01
        answers = readout.answers(model.tokenizer, WORDS)
        with pytest.raises(Unfit, match="layer 2 does more than add attention and MLP"):
            Splitter(model, answers, prompts(4, 2))

    def test_a_layer_that_cannot_be_called_by_itself(self):
        model = of("llama")
        before = model.layers[1].forward

        def only_long(x, **kwargs):
            if x.shape[1] == 1:
                raise ValueError("too short")
            return before(x, **kwargs)

        model.layers[1].forward = only_long
        answers = readout.answers(model.tokenizer, WORDS)
        with pytest.raises(Unfit, match="a layer by itself fails: ValueError: too short"):
            Splitter(model, answers, prompts(4, 2))

    def test_other_activations_than_the_models_own(self):
        """Heads of another run do not add up to what this run's layers gave."""
        model, ids = of("llama"), prompts(5, 4)
        parts, given = split(model, ids)
        answers = readout.answers(model.tokenizer, WORDS)
        splitter = Splitter(model, answers, ids[:2])
        other = splitter(lambda i: given["residual"][:, i], lambda i: 2 * given["z"][:, i], "test")
        # The rest that a layer adds goes to its MLP, so the sum still holds: z is taken on trust.
        np.testing.assert_allclose(other.heads, 2 * parts.heads, rtol=1e-4, atol=ROUNDING)
        np.testing.assert_allclose(total(other), total(parts), atol=ROUNDING)


def test_bfloat16_adds_up_as_well_as_it_rounds():
    model, ids = tiny.wrap(of("llama").model.bfloat16()), prompts(6, 4)
    parts, _ = split(model, ids)
    assert np.abs(total(parts) - parts.raw).max() < 0.05 * np.abs(parts.raw).max()


def test_nothing_is_left_behind():
    model = of("gemma2")
    split(model, prompts(7, 3))
    for module in model.model.modules():
        assert not module._forward_pre_hooks
        assert not module._forward_hooks
        assert "forward" not in vars(module)
