"""Modules of a model that have other names than most."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from stages.lib import forward
from stages.lib.forward.plain import PlainPrompts
from stages.lib.forward.site import SITES
from stages.lib.io.cli import UserError
from stages.lib.model import lm, readout
from stages.lib.model.finder import Finder
from stages.lib.model.readout import ReadoutConfig
from stages.lib.weights.config import ModelConfig
from stages.model import __main__ as stage
from tests import tiny

NAMES = {
    "layers": "body.blocks", "attention": "mix.heads", "output": "mix.heads.join", "mlp": "think",
}  # fmt: skip


class Wrapped(torch.nn.Module):
    """A module one step further down."""

    def __init__(self, module):
        super().__init__()
        self.heads = module

    def forward(self, *args, **kwargs):
        return self.heads(*args, **kwargs)


def rename(module, old, new):
    """Give a module another name, under which its own code finds it too."""
    inner = module._modules.pop(old)
    module._modules[new] = inner
    object.__setattr__(module, old, inner)  # no module of it any more, but an attribute


def renamed_model():
    """A Llama whose modules have names that nobody knows."""
    model = tiny.random_model()
    for layer in model.model.layers:
        rename(layer.self_attn, "o_proj", "join")
        layer.self_attn = Wrapped(layer.self_attn)
        rename(layer, "self_attn", "mix")
        rename(layer, "mlp", "think")
    rename(model.model, "layers", "blocks")
    rename(model, "model", "body")
    return model


def describe(model, names):
    return lm.describe(model, tiny.chatml_tokenizer(), "tiny", names)


@pytest.mark.parametrize("site", SITES.values(), ids=SITES)
def test_a_renamed_model_is_patched_as_the_one_it_was(site):
    models = [tiny.wrap(tiny.random_model()), describe(renamed_model(), NAMES)]
    answers = readout.answers(tiny.chatml_tokenizer(), ReadoutConfig(("true",), ("false",)))
    random = np.random.default_rng(0)
    base, source = random.integers(0, 250, (2, 3, 20)).tolist()
    patches = np.eye(4, dtype=bool)[:, :, None].repeat(site.shape(models[0])[0], axis=2)
    plain, renamed = (
        forward.Patcher(model, answers, base, source, 5, site=site)(patches, "test").patched
        for model in models
    )
    np.testing.assert_array_equal(plain, renamed)
    assert models[1].decoder is models[1].model.get_submodule("body")


def test_without_names_it_is_refused():
    with pytest.raises(
        UserError,
        match="no attention output projection found in layer 0.*the layer has .*mix, think",
    ):
        describe(renamed_model(), None)


@pytest.mark.parametrize("key", NAMES)
def test_modules_that_the_user_does_not_name_are_found_by_known_names(key):
    known = {
        "layers": "model.layers", "attention": "self_attn", "output": "self_attn.o_proj",
        "mlp": "mlp",
    }  # fmt: skip
    model = tiny.random_model()
    result, expected = describe(model, {key: known[key]}), tiny.wrap(model)
    for name in ("decoder", "layers", "attentions", "output_projections", "mlps"):
        assert getattr(result, name) == getattr(expected, name)


@pytest.mark.parametrize(
    ("key", "path", "expected"),
    [
        ("layers", "model.blocks", "but model in LlamaForCausalLM has embed_tokens, layers, norm"),
        ("layers", "body", "but LlamaForCausalLM has model, lm_head"),
        ("layers", "model", "but it has 4 modules, expected 2 layers"),
        ("attention", "attn", "but layer 0 of LlamaForCausalLM has self_attn, mlp, input_layerno"),
        ("output", "self_attn.out", "but self_attn in layer 0 of LlamaForCausalLM has q_proj, k_"),
        ("output", "self_attn.o_proj.x", "but o_proj in self_attn in layer 0 of .* has no modules"),
        ("mlp", "hidden_size", "but layer 0 of LlamaForCausalLM has self_attn, mlp"),
    ],
)
def test_a_name_that_is_not_there_is_one_line_with_those_that_are(key, path, expected):
    with pytest.raises(UserError) as error:
        describe(tiny.random_model(num_hidden_layers=2), {key: path})
    line = str(error.value)
    assert line.startswith(f"params.yaml: model.modules.{key}: found {path!r}, but ")
    with pytest.raises(UserError, match=expected):
        raise error.value
    assert "\n" not in line


def test_the_norm_after_an_mlp_is_taken_where_the_user_does_not_name_it():
    layer = torch.nn.ModuleDict(
        {"post_mlp_layernorm": torch.nn.Identity(), "mlp": torch.nn.Linear(2, 2)}
    )
    assert Finder("Odd", {}).mlp(layer, 0) == (layer["mlp"], layer["post_mlp_layernorm"])
    assert Finder("Odd", {"mlp": "mlp"}).mlp(layer, 0) == (layer["mlp"],)
    assert Finder("Odd", {}).mlp(torch.nn.ModuleDict({"fc": layer}), 0) == ()


class TestOfParams:
    def config(self, modules):
        return ModelConfig("./model", None, None, "auto", None, modules)

    @pytest.mark.parametrize(
        ("modules", "expected"),
        [
            ({}, "model.modules: found no module in it, expected null"),
            ({"heads": "attn"}, "model.modules.heads: unknown key, expected one of layers, atte"),
            ({"mlp": 3}, "model.modules.mlp: found 3, expected names with dots between, such as"),
            ({"mlp": "a..b"}, "model.modules.mlp: found 'a..b', expected names with dots"),
            ({"mlp": "__import__('os')"}, "model.modules.mlp: found .* expected names with dots"),
        ],
    )
    def test_what_is_no_name(self, modules, expected):
        with pytest.raises(UserError, match=expected):
            self.config(modules)

    def test_names_are_in_the_identity_and_reach_the_model(self, tmp_path, monkeypatch):
        tiny.save(tiny.random_model(), tmp_path / "model")
        monkeypatch.chdir(tmp_path)
        result = {}
        for name, modules in (("none", None), ("mlp", {"mlp": "mlp"}), ("k", {"mlp": "self_attn"})):
            monkeypatch.setattr(stage.params, "section", lambda *_, m=modules: self.config(m))
            out = tmp_path / name
            stage.main(tmp_path / "organisms", out)
            result[name] = lm.load(out)
            assert ("modules" in (out / lm.MANIFEST).read_text()) == (modules is not None)
        assert len({each.identity for each in result.values()}) == 3
        assert result["mlp"].mlps[0] == (result["mlp"].layers[0].mlp,)
        assert result["k"].mlps[0] == result["k"].attentions[:1]

    def test_a_wrong_name_stops_stage_model(self, tmp_path, monkeypatch):
        tiny.save(tiny.random_model(), tmp_path / "model")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(stage.params, "section", lambda *_: self.config({"mlp": "ffn"}))
        with pytest.raises(UserError, match="model.modules.mlp: found 'ffn', but layer 0 of Llama"):
            stage.main(tmp_path / "organisms", tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_gpt_neo_has_its_attention_one_step_further_down():
    sizes = {
        "vocab_size": 277, "hidden_size": 32, "num_layers": 4, "num_heads": 4,
        "attention_types": [[["global", "local"], 2]],
    }  # fmt: skip
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("gpt_neo", **sizes)).eval()
    with pytest.raises(UserError, match="no attention output projection found in layer 0"):
        describe(model, None)
    names = {"attention": "attn.attention", "output": "attn.attention.out_proj"}
    result = describe(model, names)
    assert (result.n_layers, result.n_heads, result.d_head) == (4, 4, 8)
    ids = np.random.default_rng(0).integers(0, 250, (2, 12)).tolist()
    run = PlainPrompts(result, ids, 3).run([0, 1])
    assert run.z.shape == (4, 2, 3, 4, 8)


def test_a_decoder_that_is_one_step_further_down_is_found():
    """Llama 4 with images names a causal model where transformers asks for its decoder."""

    class Nested(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.language_model, self.config = inner, inner.config

        def get_decoder(self):
            return self.language_model

    model = tiny.random_model()
    decoder, layers = Finder("Nested", {}).layers(Nested(model), len(model.model.layers))
    assert decoder is model.model
    assert layers == tuple(model.model.layers)
    with pytest.raises(UserError, match="expected its path in model.modules.layers; the model has"):
        Finder("Nested", {}).layers(Nested(model), 99)
