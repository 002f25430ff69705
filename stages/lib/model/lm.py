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
COUNTS = ("num_heads", "num_attention_heads", "n_heads", "n_head")  # of an attention
# Keys of Gemma 3n (four streams at once) and of Llama 3.2 Vision (layers that only images enter).
STREAMS = ("altup_num_inputs", "cross_attention_layers")
# Kinds of layers in `layer_types` of a configuration that have no heads, by how they begin.
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
        The part of it from token ids to what is unembedded.
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
    mlps : tuple of tuple of Module, length n_layers
        MLP of each layer, and the norm of its output where there is one: the last of them gives
        what is added to the residual stream. Empty where no module has a name that is known here.
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
        """MLP of the last layer, or None."""
        return next(iter(self.mlps[-1]), None)

    @property
    def device(self) -> Any:
        """Device where a forward pass begins: of the embeddings, or where they are copied to."""
        import torch

        embeddings = self.model.get_input_embeddings()
        if not embeddings.weight.is_meta:
            return embeddings.weight.device
        # accelerate keeps the weights elsewhere, and has a hook that fetches them.
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
    """Load the model that the manifest in `folder` names, when something of it is asked for.

    Its identity, dtype and sizes are those of the manifest, and a tokenizer needs no weights: a
    stage whose runs are all remembered does without them.

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
        If its files changed, and, when it is loaded, if it has no heads that can be read.
    """
    return cast(LanguageModel, _Unloaded(folder))


class _Unloaded:
    """A model by its manifest, which is loaded at the first look at anything else."""

    def __init__(self, folder: Path) -> None:
        self._place, self._manifest = _place(folder), _manifest(folder / MANIFEST)
        self.identity, self.dtype = self._manifest["identity"], self._manifest["dtype"]
        for name, size in self._manifest.get("sizes", {}).items():
            setattr(self, name, size)

    def __getattr__(self, name: str) -> Any:
        """Look something up that is not known yet."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._loaded, name)

    @cached_property
    def tokenizer(self) -> Any:
        """Its tokenizer."""
        return _known_by_its_error(lambda: loading.tokenizer(self._place))

    @cached_property
    def _loaded(self) -> LanguageModel:
        """The model itself."""
        return _known_by_its_error(self._load)

    def _load(self) -> LanguageModel:
        """Load it."""
        import torch

        # Imports torch, which a stage whose runs are all remembered does without.
        from stages.lib.model import kernels

        state = processes()
        placement: Any = {"": state.device} if state.num_processes > 1 else "auto"
        dtype = getattr(torch, self.dtype)
        kernels.require(self.dtype)
        model = loading.model(self._place, dtype, placement if torch.cuda.is_available() else None)
        model.requires_grad_(False)
        names = self._manifest.get("modules")  # in the manifest of a model of odd names alone
        # whoever asks for the tokenizer is given that of this object, loaded when it is asked for
        return describe(model, None, self.identity, names)


def _known_by_its_error(load: Callable[[], Loaded]) -> Loaded:
    """Load something; an AttributeError would pass for an attribute that is not there."""
    try:
        return load()
    except AttributeError as error:
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


def require_whole(place: Place, names: Names | None = None) -> dict[str, int]:
    """Refuse a model that later stages could not load, without loading its weights.

    Parameters
    ----------
    place : Place
        Its files.
    names : dict or None
        As in `describe`.

    Returns
    -------
    dict of str to int
        `SIZES` of the model; empty where quantised weights must be loaded to know them.

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
        Its tokenizer.
    identity : str
        Hash over weights and tokenizer.
    names : dict or None
        Where modules are that have no name that is known here: `model.modules` of params.yaml.

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
    """Where the files of a manifest are, which must be those that stage `model` saw."""
    manifest = _manifest(folder / MANIFEST)
    names = tuple(file["name"] for file in manifest["files"])
    if manifest["kind"] == "hub":
        where = hub.snapshot(manifest["source"], manifest["revision"], names)
        place = Place(where, names, manifest["source"])
    else:  # other weights are in the stage's own folder
        where = Path(manifest["source"]) if manifest["kind"] == "folder" else folder
        place = Place(where, names, str(where))
    more = manifest["kind"] == "hub"  # other programs put other files into its cache
    require_unchanged(where, manifest["files"], folder / MANIFEST, more)
    return place


def _manifest(file: Path) -> dict[str, Any]:
    """Read a manifest, which may name a model's files and no others."""
    manifest = tables.read_json(file)
    for key, kind in KEYS.items():
        found = manifest.get(key) if is_dict(manifest) else manifest
        if type(found) is not kind:
            said = f"{key}: found {type(found).__name__}, expected {kind.__name__}"
            raise tables.broken(file, said)
    for i, entry in enumerate(manifest["files"]):
        kinds: dict[str, Any] = {k: type(v) for k, v in entry.items()} if is_dict(entry) else {}
        if kinds != ENTRY:
            raise tables.broken(file, f"files[{i}]: expected {', '.join(ENTRY)}")
        if not IDENTITY.fullmatch(entry["name"]):
            raise tables.broken(file, f"files[{i}].name: found {entry['name']!r}, of no model")
    return manifest


def _size(config: Any, key: str, name: str) -> Any:
    """A number of config.json; None where it has none."""
    try:
        return getattr(config, key, None)
    except RuntimeError:  # of transformers, where each layer has a number of its own
        raise UserError(
            f"model.source: {name}: {key} in config.json differs from layer to layer, expected "
            "one number; layers of different heads are not supported"
        ) from None


def _require_whole_heads(model: Any, name: str) -> None:
    """Refuse a model whose heads are shared out among processes: z is then nowhere whole."""
    n_processes = getattr(model, "tp_size", None) or 1
    if n_processes > 1:
        raise UserError(
            f"model.source: {name}: tensor parallelism splits the heads of a layer among "
            f"{n_processes} processes; expected whole layers, spread over devices by device_map"
        )


def _require_softmax(config: Any, name: str) -> None:
    """Refuse layers that mix positions by something else than attention with heads."""
    kinds = Counter(getattr(config, "layer_types", None) or ())
    other = [kind for kind in kinds if kind.startswith(HEADLESS)]
    if other:
        others = ", ".join(f"{kinds[kind]} layers of {kind}" for kind in sorted(other))
        raise UserError(
            f"model.source: {name}: {others}, which have no attention heads; expected softmax "
            "attention in every layer"
        )


def _z_width(
    attentions: tuple[Any, ...], projections: tuple[Any, ...], n_heads: int, name: str
) -> int:
    """Width of z, which must be the same in all layers, and as many heads of one width."""
    widths = [_input_width(projection, name) for projection in projections]
    for layer, width in enumerate(widths):
        if width != widths[0]:
            raise UserError(
                f"model.source: {name}: z is {widths[0]} wide in layer 0 and {width} in layer "
                f"{layer}; layers of different widths are not supported"
            )
    for layer, attention in enumerate(attentions):
        own = next((n for key in COUNTS if (n := getattr(attention, key, None))), n_heads)
        if isinstance(own, int) and own != n_heads:
            raise UserError(
                f"model.source: {name}: {own} heads in layer {layer}, expected {n_heads} in all; "
                "layers of different heads are not supported"
            )
    if widths[0] % n_heads:
        raise UserError(
            f"model.source: {name}: z is {widths[0]} wide, expected a multiple of its {n_heads} "
            "attention heads"
        )
    return widths[0]


def _input_width(projection: Any, name: str) -> int:
    """Width of a projection's input, for Linear, quantised and GPT-2's transposed layers."""
    width = getattr(projection, "in_features", None)
    if width is None and getattr(projection, "weight", None) is not None:
        width = projection.weight.shape[0]
    if width is None:
        kind = type(projection).__name__
        raise UserError(f"model.source: {name}: the width of a {kind} is not known")
    return width
