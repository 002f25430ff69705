"""Load the model that data/model names: weights, tokenizer, and the modules that hooks need."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.lib import tables
from stages.lib.cli import UserError

MANIFEST = "manifest.json"
WEIGHTS = re.compile(r"model.*\.safetensors")
# What a model is: other files in its folder (README, weights in other formats) do not count.
IDENTITY = re.compile(
    WEIGHTS.pattern + r"|config\.json|chat_template.*|vocab\..*|merges\.txt"
    r"|(tokenizer|special_tokens_map|added_tokens).*"
)
# Names of modules in transformers' architectures: the MLP, and the map from the heads' outputs to
# the residual stream.
MLPS = ("mlp", "feed_forward", "ffn")
OUTPUT_PROJECTIONS = ("o_proj", "out_proj", "dense", "c_proj", "wo")


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model with the modules that activations are read from and written to.

    Attributes
    ----------
    model : PreTrainedModel
        In evaluation mode.
    tokenizer : PreTrainedTokenizerBase
        Its tokenizer.
    identity : str
        Hash over weights and tokenizer, from the manifest.
    layers : tuple of Module, length n_layers
        Decoder layers.
    attentions : tuple of Module, length n_layers
        Attention of each layer.
    output_projections : tuple of Module, length n_layers
        The map whose input is `z`, (n_heads * d_head) wide.
    last_mlp : Module or None
        MLP of the last layer, if it has a name that is known here.
    n_layers, n_heads, n_kv_heads, d_head, d_model : int
        Sizes. `d_head` is read from the weights: it need not be d_model / n_heads.
    """

    model: Any
    tokenizer: Any
    identity: str
    layers: tuple[Any, ...]
    attentions: tuple[Any, ...]
    output_projections: tuple[Any, ...]
    last_mlp: Any
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    d_model: int

    @property
    def device(self) -> Any:
        """Device of the embeddings, where a forward pass begins."""
        return self.model.get_input_embeddings().weight.device

    @property
    def dtype(self) -> str:
        """Name of the weights' dtype, such as ``float32``."""
        return str(self.model.dtype).removeprefix("torch.")


def file_hashes(folder: Path) -> list[dict[str, Any]]:
    """Name, size in bytes and sha256 of each file in `folder` that makes the model what it is.

    Raises
    ------
    UserError
        If there are no weights in safetensors among them; other formats are not loaded.
    """
    files = sorted(file for file in folder.iterdir() if IDENTITY.fullmatch(file.name))
    if not any(WEIGHTS.fullmatch(file.name) for file in files):
        raise UserError(f"params.yaml: model.source: {folder}: no model*.safetensors in it")
    return [
        {"name": file.name, "size": file.stat().st_size, "sha256": sha256(file)} for file in files
    ]


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer of the model that the manifest in `folder` names."""
    from transformers import AutoTokenizer

    source, revision = _location(folder)
    return AutoTokenizer.from_pretrained(source, revision=revision)


def load_config(folder: Path) -> Any:
    """Load the configuration of the model that the manifest in `folder` names."""
    from transformers import AutoConfig

    source, revision = _location(folder)
    return AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)


def load(folder: Path) -> LanguageModel:
    """Load the model that the manifest in `folder` names.

    Parameters
    ----------
    folder : Path
        Out of the `model` stage.

    Returns
    -------
    LanguageModel
        On the GPUs, if there are any: spread over all of them by one process, or whole on its own
        GPU by each of several. Else on the CPU. In the manifest's dtype.

    Raises
    ------
    UserError
        If the architecture has no heads that can be read.
    """
    import torch
    from accelerate import PartialState
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    manifest = tables.read_json(folder / MANIFEST)
    source, revision = _location(folder)
    cuda = torch.cuda.is_available()
    state = PartialState(cpu=not cuda)
    placement: Any = {"": state.device} if state.num_processes > 1 else "auto"
    model = AutoModelForCausalLM.from_pretrained(
        source,
        revision=revision,
        dtype=getattr(torch, manifest["dtype"]),
        device_map=placement if cuda else None,
        trust_remote_code=False,
        use_safetensors=True,
    ).eval()
    model.requires_grad_(False)
    return describe(model, load_tokenizer(folder), manifest["identity"])


def describe(model: Any, tokenizer: Any, identity: str) -> LanguageModel:
    """Find the layers and heads of a model and check that their sizes agree.

    Raises
    ------
    UserError
        If there is no list of layers, a layer has no output projection, or its width is no
        multiple of the number of heads.
    """
    config = model.config.get_text_config()
    name = type(model).__name__
    n_layers = getattr(config, "num_hidden_layers", None)
    n_heads = getattr(config, "num_attention_heads", None)
    if n_layers is None or n_heads is None:
        raise UserError(f"model.source: {name} has no attention heads, expected a transformer")
    layers = next(
        (
            tuple(child)
            for child in model.get_decoder().children()
            if type(child).__name__ == "ModuleList" and len(child) == n_layers
        ),
        None,
    )
    if layers is None:
        raise UserError(f"model.source: {name} has no list of {n_layers} decoder layers")
    attentions, projections = zip(*(_attention(layer, name) for layer in layers), strict=True)
    width = _input_width(projections[0])
    if any(_input_width(p) != width for p in projections) or width % n_heads:
        raise UserError(f"model.source: {name}: z is {width} wide, expected {n_heads} equal heads")
    return LanguageModel(
        model=model,
        tokenizer=tokenizer,
        identity=identity,
        layers=layers,
        attentions=attentions,
        output_projections=projections,
        last_mlp=next((m for n, m in layers[-1].named_children() if n in MLPS), None),
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=getattr(config, "num_key_value_heads", None) or n_heads,
        d_head=width // n_heads,
        d_model=config.hidden_size,
    )


def _location(folder: Path) -> tuple[str, str | None]:
    """Where transformers finds the model, and at which revision; local files are checked."""
    manifest = tables.read_json(folder / MANIFEST)
    if manifest["kind"] == "hub":
        return manifest["source"], manifest["revision"]
    if manifest["kind"] in ("pypi", "organism"):  # the weights are in the stage's own folder
        return str(folder), None
    path, named = Path(manifest["source"]), (folder / MANIFEST).stat().st_mtime
    for file in manifest["files"]:
        local = path / file["name"]
        # Hashing takes a second a gigabyte: only what was written after the manifest needs it.
        if not local.is_file() or (
            local.stat().st_mtime > named and sha256(local) != file["sha256"]
        ):
            raise UserError(
                f"{local}: not the file that {folder / MANIFEST} names; "
                "run `dvc repro --force --single-item model`"
            )
    return str(path), None


def _attention(layer: Any, name: str) -> tuple[Any, Any]:
    """Return a layer's attention, and the projection in it whose input is z."""
    for child_name, child in layer.named_children():
        if "attn" in child_name or "attention" in child_name:
            for projection in OUTPUT_PROJECTIONS:
                if hasattr(child, projection):
                    return child, getattr(child, projection)
    raise UserError(
        f"model.source: {name}: no attention output projection found in a layer, "
        f"expected one of {', '.join(OUTPUT_PROJECTIONS)}"
    )


def _input_width(projection: Any) -> int:
    """Width of a projection's input, for Linear, quantised and GPT-2's transposed layers."""
    return getattr(projection, "in_features", None) or projection.weight.shape[0]


def sha256(file: Path) -> str:
    """Hash a file's content, as hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
