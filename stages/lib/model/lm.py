"""Load the model that data/model names: weights, tokenizer, and the modules that hooks need."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

from stages.lib.io import tables
from stages.lib.io.cli import UserError
from stages.lib.io.narrow import is_dict
from stages.lib.model.finder import Finder, Names
from stages.lib.model.pretrained import hub, loading, reading
from stages.lib.model.pretrained.files import IDENTITY, Place, require_unchanged
from stages.lib.model.processes import processes

MANIFEST = "manifest.json"
KEYS = {"kind": str, "source": str, "dtype": str, "identity": str, "files": list}
ENTRY = {"name": str, "size": int, "sha256": str}
SIZES = ("n_layers", "n_heads", "n_kv_heads", "d_head", "d_model")
COUNTS = ("num_heads", "num_attention_heads", "n_heads", "n_head")  # keys of an attention module
# Configuration keys of Gemma 3n (four parallel residual streams) and of Llama 3.2 Vision (layers
# that only run on images).
STREAMS = ("altup_num_inputs", "cross_attention_layers")
DIFFERENTIAL = ("diffllama",)  # types of models whose heads are two units of z each
# Prefixes of the kinds of layers in a configuration's `layer_types` that have no heads.
HEADLESS = ("linear", "mamba", "conv", "recurrent", "mlp", "moe", "ssm")

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model with the modules whose activations are read and patched.

    Attributes
    ----------
    model : PreTrainedModel
        In evaluation mode.
    decoder : Module
        The part of the model from token ids to the input of the unembedding.
    tokenizer : PreTrainedTokenizerBase
        The model's tokenizer.
    identity : str
        Hash over weights and tokenizer, from the manifest.
    layers : tuple of Module, length n_layers
        Decoder layers.
    attentions : tuple of Module, length n_layers
        Attention of each layer.
    output_projections : tuple of Module, length n_layers
        The linear map whose input is `z`, (n_heads * d_head) wide.
    mlps : tuple of tuple of Module, length n_layers
        MLP of each layer, and the norm of its output where there is one: the output of the last
        of them is added to the residual stream. Empty if no module has a name that is known here.
    n_layers, n_heads, n_kv_heads, d_head, d_model : int
        Sizes. `d_head` is read from the weights: it need not be d_model / n_heads.
    """

    model: Any
    decoder: Any
    tokenizer: Any
    identity: str
    layers: tuple[Any, ...]
    attentions: tuple[Any, ...]
    output_projections: tuple[Any, ...]
    mlps: tuple[tuple[Any, ...], ...]
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    d_model: int

    @property
    def last_mlp(self) -> Any:
        """Return the MLP of the last layer, or None."""
        return next(iter(self.mlps[-1]), None)

    @property
    def device(self) -> Any:
        """Return the device of the embeddings' weights, or that to which accelerate copies them."""
        import torch

        embeddings = self.model.get_input_embeddings()
        if not embeddings.weight.is_meta:
            return embeddings.weight.device
        # accelerate stores the weights elsewhere, and fetches them by a hook.
        return torch.device(embeddings._hf_hook.execution_device)

    @property
    def dtype(self) -> str:
        """Name of the weights' dtype, such as ``float32``."""
        return str(self.model.dtype).removeprefix("torch.")


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer of the model that the manifest in `folder` names."""
    return loading.tokenizer(_place(folder))


def load_config(folder: Path) -> Any:
    """Load the configuration of the model that the manifest in `folder` names."""
    place = _place(folder)
    return reading.configuration(place, place.view())


def load(folder: Path) -> LanguageModel:
    """Return the model that the manifest in `folder` names; weights load at the first use.

    Identity, dtype and sizes come from the manifest, and the tokenizer needs no weights: a stage
    whose runs are all remembered loads none.

    Parameters
    ----------
    folder : Path
        Output folder of the `model` stage.

    Returns
    -------
    LanguageModel
        In the manifest's dtype. A single process spreads the model over all GPUs; each of several
        processes loads all of it on its own GPU. Without GPUs it is on the CPU.

    Raises
    ------
    UserError
        If the model's files changed; when weights load, if it has no heads that can be read.
    """
    return cast(LanguageModel, _Unloaded(folder))


class _Unloaded:
    """A model that knows its manifest, and loads at the first access to anything else."""

    def __init__(self, folder: Path) -> None:
        self._place, self._manifest = _place(folder), _manifest(folder / MANIFEST)
        self.identity, self.dtype = self._manifest["identity"], self._manifest["dtype"]
        for name, size in self._manifest.get("sizes", {}).items():
            setattr(self, name, size)

    def __getattr__(self, name: str) -> Any:
        """Load the model, and return the attribute of the loaded model."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._loaded, name)

    @cached_property
    def tokenizer(self) -> Any:
        """Load the tokenizer."""
        return _load_without_attribute_error(lambda: loading.tokenizer(self._place))

    @cached_property
    def _loaded(self) -> LanguageModel:
        """Load the model, once."""
        return _load_without_attribute_error(self._load)

    def _load(self) -> LanguageModel:
        """Load the model."""
        import torch

        # This imports torch, which a stage whose runs are all remembered does not need.
        from stages.lib.model import kernels

        state = processes()
        placement: Any = {"": state.device} if state.num_processes > 1 else "auto"
        dtype = getattr(torch, self.dtype)
        kernels.require(self.dtype)
        model = loading.model(self._place, dtype, placement if torch.cuda.is_available() else None)
        model.requires_grad_(False)
        names = self._manifest.get("modules")  # only in manifests of models with `model.modules`
        # No tokenizer: this object has its own, which loads at the first use.
        return describe(model, None, self.identity, names)


def _load_without_attribute_error(load: Callable[[], Loaded]) -> Loaded:
    """Load something, but raise AttributeErrors as RuntimeErrors: `__getattr__` would hide them."""
    try:
        return load()
    except AttributeError as error:
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


def require_whole(place: Place, names: Names | None = None) -> dict[str, int]:
    """Refuse a model that later stages could not load, without loading its weights.

    Parameters
    ----------
    place : Place
        The model's files.
    names : dict or None
        As in `describe`.

    Returns
    -------
    dict of str to int
        `SIZES` of the model; empty if they are only known once quantised weights are loaded.

    Raises
    ------
    UserError
        If a file is damaged, weights are missing, the tokenizer does not belong to the model, or
        the architecture has no heads that can be read.
    """
    tokenizer = loading.tokenizer(place)
    if (model := loading.skeleton(place)) is None:
        return {}
    loading.require_embeddings(tokenizer, model, place)
    described = describe(model, tokenizer, identity="", names=names)
    return {name: getattr(described, name) for name in SIZES}


def describe(
    model: Any, tokenizer: Any, identity: str, names: Names | None = None
) -> LanguageModel:
    """Find the layers and heads of a model and check that their sizes agree.

    Parameters
    ----------
    model : PreTrainedModel
        The model.
    tokenizer : PreTrainedTokenizerBase
        The model's tokenizer.
    identity : str
        Hash over weights and tokenizer.
    names : dict or None
        `model.modules` of params.yaml: paths of modules whose names are not known here.

    Returns
    -------
    LanguageModel

    Raises
    ------
    UserError
        If there is no list of layers, a layer has no attention heads or no output projection,
        layers differ in their heads, or a module is not where `names` says.
    """
    config = model.config.get_text_config()
    name = type(model).__name__
    n_layers = _size(config, "num_hidden_layers", name)
    n_heads = _size(config, "num_attention_heads", name)
    if not n_layers or not n_heads:
        raise UserError(f"model.source: {name} has no attention heads, expected a transformer")
    for key in STREAMS:
        if getattr(config, key, None):
            raise UserError(
                f"model.source: {name}: {key} in config.json, so its layers do not hand on one "
                "residual stream; expected an architecture whose layers do"
            )
    finder = Finder(name, names or {})
    _require_whole_heads(model, name)
    decoder, layers = finder.layers(model, n_layers)
    _require_softmax(config, name)
    attentions, projections = zip(
        *(finder.attention(layer, i) for i, layer in enumerate(layers)), strict=True
    )
    width = _z_width(attentions, projections, n_heads, name)
    return LanguageModel(
        model=model,
        decoder=decoder,
        tokenizer=tokenizer,
        identity=identity,
        layers=layers,
        attentions=attentions,
        output_projections=projections,
        mlps=tuple(finder.mlp(layer, i) for i, layer in enumerate(layers)),
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=_size(config, "num_key_value_heads", name) or n_heads,
        d_head=width // n_heads,
        d_model=config.hidden_size,
    )


def _place(folder: Path) -> Place:
    """Return the place of a manifest's files, which must be those that stage `model` hashed."""
    manifest = _manifest(folder / MANIFEST)
    names = tuple(file["name"] for file in manifest["files"])
    if manifest["kind"] == "hub":
        model_folder = hub.snapshot(manifest["source"], manifest["revision"], names)
        place = Place(model_folder, names, manifest["source"])
    else:  # all other weights are in the stage's own folder
        model_folder = Path(manifest["source"]) if manifest["kind"] == "folder" else folder
        place = Place(model_folder, names, str(model_folder))
    allow_others = manifest["kind"] == "hub"  # other programs add files to the hub's cache
    require_unchanged(model_folder, manifest["files"], folder / MANIFEST, allow_others)
    return place


def _manifest(file: Path) -> dict[str, Any]:
    """Read a manifest, and refuse one that names anything but a model's files."""
    manifest = tables.read_json(file)
    for key, kind in KEYS.items():
        value = manifest.get(key) if is_dict(manifest) else manifest
        if type(value) is not kind:
            mismatch = f"{key}: found {type(value).__name__}, expected {kind.__name__}"
            raise tables.broken(file, mismatch)
    for i, entry in enumerate(manifest["files"]):
        kinds: dict[str, Any] = {k: type(v) for k, v in entry.items()} if is_dict(entry) else {}
        if kinds != ENTRY:
            raise tables.broken(file, f"files[{i}]: expected {', '.join(ENTRY)}")
        if not IDENTITY.fullmatch(entry["name"]):
            raise tables.broken(
                file, f"files[{i}].name: found {entry['name']!r}, expected a model's file"
            )
    return manifest


def _size(config: Any, key: str, name: str) -> Any:
    """Return a number of config.json; None if the key is missing."""
    try:
        return getattr(config, key, None)
    except RuntimeError:  # raised by transformers if the number differs by layer
        raise UserError(
            f"model.source: {name}: {key} in config.json differs from layer to layer, expected "
            "one number; layers of different heads are not supported"
        ) from None


def _require_whole_heads(model: Any, name: str) -> None:
    """Refuse a model whose heads are split among processes: none of them has all of z."""
    n_processes = getattr(model, "tp_size", None) or 1
    if n_processes > 1:
        raise UserError(
            f"model.source: {name}: tensor parallelism splits the heads of a layer among "
            f"{n_processes} processes; expected whole layers, spread over devices by device_map"
        )


def _require_softmax(config: Any, name: str) -> None:
    """Refuse layers that mix positions by anything but attention with heads."""
    if config.model_type in DIFFERENTIAL:
        raise UserError(
            f"model.source: {name}: each head is the difference of two attentions; expected "
            "softmax attention in every head"
        )
    kinds = Counter(getattr(config, "layer_types", None) or ())
    headless = [kind for kind in kinds if kind.startswith(HEADLESS)]
    if headless:
        counts = ", ".join(f"{kinds[kind]} layers of {kind}" for kind in sorted(headless))
        raise UserError(
            f"model.source: {name}: {counts}, which have no attention heads; expected softmax "
            "attention in every layer"
        )


def _z_width(
    attentions: tuple[Any, ...], projections: tuple[Any, ...], n_heads: int, name: str
) -> int:
    """Return the width of z; refuse layers that differ in width or number of heads."""
    widths = [_input_width(projection, name) for projection in projections]
    for layer, width in enumerate(widths):
        if width != widths[0]:
            raise UserError(
                f"model.source: {name}: z is {widths[0]} wide in layer 0 and {width} in layer "
                f"{layer}; layers of different widths are not supported"
            )
    for layer, attention in enumerate(attentions):
        n_own_heads = next((n for key in COUNTS if (n := getattr(attention, key, None))), n_heads)
        if isinstance(n_own_heads, int) and n_own_heads != n_heads:
            raise UserError(
                f"model.source: {name}: {n_own_heads} heads in layer {layer}, expected {n_heads} "
                "in all; layers of different heads are not supported"
            )
    if widths[0] % n_heads:
        raise UserError(
            f"model.source: {name}: z is {widths[0]} wide, expected a multiple of its {n_heads} "
            "attention heads"
        )
    return widths[0]


def _input_width(projection: Any, name: str) -> int:
    """Return the input width of a projection: Linear, quantised, or GPT-2's transposed layer."""
    width = getattr(projection, "in_features", None)
    if width is None and getattr(projection, "weight", None) is not None:
        width = projection.weight.shape[0]
    if width is None:
        kind = type(projection).__name__
        raise UserError(f"model.source: {name}: the width of a {kind} is not known")
    return width
