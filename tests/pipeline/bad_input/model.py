"""Bad inputs of one kind: model folders, what params.yaml says of the model, and the hub's cache."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.pipeline.bad_input.case import Case
from tests.pipeline.conftest import Project
from tests.pipeline.warm import HUB

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = "models/tiny/model.safetensors"
CONFIG = "models/tiny/config.json"
TOKENIZER = "models/tiny/tokenizer.json"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 538090408\n"
Spoil = Callable[[Project], None]


def text(file: str, content: str) -> Spoil:
    """Write another text into a file."""

    def spoil(project: Project) -> None:
        _path(project, file).write_text(content)

    return spoil


def cut(file: str, share: float) -> Spoil:
    """Keep the first part of a file, as after a download that was stopped."""

    def spoil(project: Project) -> None:
        path = _path(project, file)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return spoil


def without(*files: str) -> Spoil:
    """Delete files."""

    def spoil(project: Project) -> None:
        for file in files:
            _path(project, file).unlink()

    return spoil


def config(file: str = CONFIG, drop: str = "", **changes: Any) -> Spoil:
    """Change keys of a JSON file."""

    def spoil(project: Project) -> None:
        path = _path(project, file)
        values = json.loads(path.read_text()) | changes
        values.pop(drop, None)
        path.write_text(json.dumps(values))

    return spoil


def weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Spoil:
    """Change tensors."""

    def spoil(project: Project) -> None:
        tensors = load_file(project.folder / WEIGHTS)
        change(tensors)
        save_file(tensors, project.folder / WEIGHTS, metadata={"format": "pt"})

    return spoil


def source(value: str, **changes: Any) -> Spoil:
    """Name another model in params.yaml."""
    return lambda project: project.set({"model": {"source": value} | changes})


def shards(drop: str = "", name: str = "", of: str = "model-00002-of-00002.safetensors") -> Spoil:
    """Cut the weights into two shards; drop a file, or let the index name one tensor more."""

    def spoil(project: Project) -> None:
        folder = project.folder / "models/tiny"
        tensors = load_file(project.folder / WEIGHTS)
        files = {}
        for i in (1, 2):
            file = f"model-0000{i}-of-00002.safetensors"
            some = {k: v for n, (k, v) in enumerate(sorted(tensors.items())) if n % 2 == i - 1}
            save_file(some, folder / file, metadata={"format": "pt"})
            files |= dict.fromkeys(some, file)
        if name:
            files[name] = of
        index = {"metadata": {}, "weight_map": files}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        (project.folder / WEIGHTS).unlink()
        if drop:
            (folder / drop).unlink()

    return spoil


def rename(project: Project) -> None:
    """Put all weights under another prefix."""
    weights(lambda t: [t.update({f"net.{k}": t.pop(k)}) for k in list(t)])(project)


def folder_for_file(project: Project) -> None:
    """Put a folder where the weights should be."""
    (project.folder / WEIGHTS).unlink()
    (project.folder / WEIGHTS).mkdir()


def dangling(project: Project) -> None:
    """Let the weights be a link to what was deleted."""
    (project.folder / WEIGHTS).unlink()
    (project.folder / WEIGHTS).symlink_to("/nowhere/model.safetensors")


def pickled(project: Project) -> None:
    """Leave only weights as a pickle."""
    (project.folder / WEIGHTS).rename(project.folder / "models/tiny/pytorch_model.bin")


def more_tokens(project: Project) -> None:
    """Add words to the tokenizer, and no rows to the embeddings."""
    from tests import tiny

    tokenizer = tiny.chatml_tokenizer()
    tokenizer.add_tokens(["deceit", "honesty"])
    tokenizer.save_pretrained(project.folder / "models/tiny")


def code(module: str, content: str, **keys: Any) -> Spoil:
    """Let a model bring code of its own, which writes a file when it is imported."""

    def spoil(project: Project) -> None:
        path = project.folder / "models/tiny" / module
        path.write_text(f"open({str(project.folder / 'ran')!r}, 'w').close()\n{content}")
        config(**keys)(project)

    return spoil


def cached(spoil: Spoil) -> Spoil:
    """Put the model into the hub's cache, as if it had been downloaded, and spoil it there."""

    def move(project: Project) -> None:
        spoil(project)
        snapshot = project.folder / "cache/hub/models--org--tiny/snapshots" / COMMIT
        shutil.copytree(project.folder / "models/tiny", snapshot)
        source(f"org/tiny@{COMMIT}")(project)

    return move


def swapped(project: Project) -> None:
    """Move older weights of the same size in, whose mtime is older than the manifest."""
    file = project.folder / WEIGHTS
    before = file.stat()
    weights(lambda t: t["lm_head.weight"].add_(1))(project)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def adapter(project: Project) -> None:
    """Put an adapter beside the weights."""
    content = json.dumps({"peft_type": "LORA", "base_model_name_or_path": "x"})
    (project.folder / "models/tiny/adapter_config.json").write_text(content)


def _path(project: Project, file: str) -> Path:
    """Where a file of the project is."""
    return project.folder / file


MODEL = [
    # Weights
    ("weights-cut", cut(WEIGHTS, 0.5), f"{WEIGHTS}: SafetensorError: "),
    ("weights-cut-in-the-header", cut(WEIGHTS, 0.01), f"{WEIGHTS}: SafetensorError: "),
    ("weights-empty", text(WEIGHTS, ""), f"{WEIGHTS}: empty"),
    ("weights-garbage", text(WEIGHTS, "<html>404</html>"), f"{WEIGHTS}: SafetensorError: "),
    ("weights-lfs-pointer", text(WEIGHTS, POINTER), f"{WEIGHTS}: a pointer of git-lfs, expected"),
    ("weights-folder", folder_for_file, f"{WEIGHTS}: a folder, expected a file"),
    ("weights-link-to-nothing", dangling, f"{WEIGHTS}: a link to nothing, expected a file"),
    ("weights-pickled", pickled, "no model*.safetensors in it, only pytorch_model.bin, and"),
    ("weights-none", without(WEIGHTS), "models/tiny: no model*.safetensors in it"),
    (
        "weights-missing",
        weights(lambda t: t.pop("lm_head.weight")),
        "models/tiny: weights of LlamaForCausalLM are missing: lm_head.weight",
    ),
    (
        "weights-unexpected",
        weights(lambda t: t.update(extra=torch.zeros(2))),
        "models/tiny: weights that LlamaForCausalLM does not have: extra",
    ),
    (
        "weights-other-prefix",
        rename,
        "weights of LlamaForCausalLM are missing: lm_head.weight, mod",
    ),
    (
        "weights-other-shape",
        config(intermediate_size=40),
        "weights do not fit config.json: model.layers.0.mlp.down_proj.weight is 32 x 64, not 32 x 40",
    ),
    (
        "weights-fewer-layers",
        config(num_hidden_layers=4),
        "does not have: model.layers.4.input_lay",
    ),
    (
        "weights-more-layers",
        config(num_hidden_layers=6),
        "are missing: model.layers.5.input_layern",
    ),
    # Shards
    (
        "shard-missing",
        shards(drop="model-00002-of-00002.safetensors"),
        "model-00002-of-00002.safetensors: no such file, but model.safetensors.index.json names it",
    ),
    (
        "index-missing",
        shards(drop="model.safetensors.index.json"),
        "models/tiny: neither model.safetensors nor model.safetensors.index.json in it",
    ),
    (
        "index-names-a-tensor-of-none",
        shards(name="model.ghost"),
        "model-00002-of-00002.safetensors: model.ghost: not in it, but",
    ),
    (
        "index-leaves-the-folder",
        shards(name="x", of="../other/model.safetensors"),
        "weight_map: found '../other/model.safetensors', expected a file model*.safetensors",
    ),
    # Configuration
    ("config-none", without(CONFIG), f"{CONFIG}: no such file"),
    ("config-cut", cut(CONFIG, 0.5), f"{CONFIG}: not JSON: "),
    ("config-list", text(CONFIG, "[]"), f"{CONFIG}: found a list, expected a JSON object"),
    ("config-lfs-pointer", text(CONFIG, POINTER), f"{CONFIG}: a pointer of git-lfs"),
    ("config-no-type", config(drop="model_type"), f"{CONFIG}: model_type: key is missing"),
    (
        "config-unknown-type",
        config(model_type="llamma"),
        "model_type: 'llamma' is unknown to trans",
    ),
    ("config-encoder-decoder", config(model_type="t5"), "'t5' has no causal language model in tr"),
    ("config-encoder", config(model_type="bert"), "weights of BertLMHeadModel are missing: bert."),
    ("config-text-for-a-number", config(hidden_size="wide"), f"{CONFIG}: "),
    (
        "config-no-layers",
        config(num_hidden_layers=0),
        "models/tiny: weights that LlamaForCausalLM do",
    ),
    (
        "config-heads-do-not-divide",
        config(num_attention_heads=3),
        "is not a multiple of the number of attention heads (3)",
    ),
    (
        "config-quantised-by-a-library",
        config(quantization_config={"quant_method": "gptq", "bits": 4}),
        f"{CONFIG}: quantization_config: gptq: ImportError: ",
    ),
    (
        "config-quantised-somehow",
        config(quantization_config={"quant_method": "magic"}),
        "quantization_config.quant_method: 'magic' is unknown to transformers",
    ),
    # Tokenizer
    ("tokenizer-cut", cut(TOKENIZER, 0.6), f"{TOKENIZER}: not JSON: "),
    ("tokenizer-garbled", config(TOKENIZER, model={"type": "BPE"}), "models/tiny: tokenizer: "),
    ("tokenizer-lfs-pointer", text(TOKENIZER, POINTER), f"{TOKENIZER}: a pointer of git-lfs"),
    ("tokenizer-none", without(TOKENIZER), "no tokenizer in it, expected tokenizer.json"),
    (
        "tokenizer-config-cut",
        cut("models/tiny/tokenizer_config.json", 0.5),
        "models/tiny/tokenizer_config.json: not JSON: ",
    ),
    (
        "tokenizer-larger-than-the-model",
        more_tokens,
        "the tokenizer has 2 tokens that the model has no embedding for, the first 'deceit'",
    ),
    # Code
    (
        "code-of-a-model",
        code("own.py", "", model_type="own", auto_map={"AutoConfig": "own.Own"}),
        "'own' is unknown to transformers",
    ),
    (
        "code-of-a-tokenizer",
        code(
            "tok.py",
            "class Tok: pass",
            file="models/tiny/tokenizer_config.json",
            tokenizer_class="Tok",
            auto_map={"AutoTokenizer": ["tok.Tok", None]},
        ),
        "models/tiny: tokenizer: ",
    ),
    (
        "adapter-beside-the-weights",
        adapter,
        "adapter_config.json: an adapter beside the weights, exp",
    ),
    # params.yaml
    ("source-file", source(f"./{WEIGHTS}"), f"{WEIGHTS}: a file, expected a folder"),
    ("source-unknown-user", source("~nobody-here/model"), "source: ~nobody-here/model: "),
    (
        "source-three-parts",
        source(f"a/b/c@{COMMIT}"),
        "expected pypi:NAME==VERSION, ORG/NAME@COMMIT",
    ),
    ("source-dots", source(f"a/..b--@{COMMIT}"), "could not be downloaded ("),
    (
        "source-option",
        source("pypi:--log==x"),
        "found 'pypi:--log==x', expected pypi:NAME==VERSION",
    ),
    (
        "source-version",
        source("pypi:tiny==-r"),
        "found 'pypi:tiny==-r', expected pypi:NAME==VERSION",
    ),
    # The hub's cache
    (
        "cache-without-tokenizer",
        cached(without(TOKENIZER)),
        f"{COMMIT}: no tokenizer in it, expected tokenizer.json",
    ),
    ("cache-without-config", cached(without(CONFIG)), f"{COMMIT}/config.json: no such file"),
    (
        "cache-without-a-shard",
        cached(shards(drop="model-00001-of-00002.safetensors")),
        "model-00001-of-00002.safetensors: no such file, but model.safetensors.index.json names it",
    ),
]
AFTERWARDS = [
    ("changed-weights", swapped, f"{WEIGHTS}: not the file that data/model/manifest.json names"),
    ("changed-config", config(rope_theta=5.0), f"{CONFIG}: not the file that data/model/manifest"),
    ("added-adapter", adapter, "adapter_config.json: an adapter beside the weights, expected"),
    (
        "added-file",
        text("models/tiny/added_tokens.json", "{}"),
        "models/tiny/added_tokens.json: not among the files that data/model/manifest.json names",
    ),
    (
        "deleted-template",
        without("models/tiny/chat_template.jinja"),
        "chat_template.jinja: not the",
    ),
]
CASES: list[Case] = [
    *(
        Case(f"model-{name}", "model", spoil, expected, environment=HUB)
        for name, spoil, expected in MODEL
    ),
    *(Case(f"model-{name}", "prompts", spoil, expected) for name, spoil, expected in AFTERWARDS),
    Case(
        "model-not-a-number",
        "activations",
        weights(lambda t: t["model.norm.weight"].fill_(float("nan"))),
        "the output of the final norm is not finite at the prompt",
        before=("model", "prompts"),
    ),
]
