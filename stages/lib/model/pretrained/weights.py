"""Whether a model's weights are all there: names and shapes, from the heads of the files alone."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, cast

from stages.lib.io.narrow import is_dict
from stages.lib.model.pretrained.files import WEIGHTS, Place
from stages.lib.model.pretrained.reading import library, read_json, refusal

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
NAMED = 5  # tensors that a message names
# Constants that older versions of transformers saved beside the weights.
CONSTANT = re.compile(
    r"(^|\.)(masked_bias|inv_freq|position_ids|rope\.freqs|(attn|attention)\.bias|causal_mask)$"
)
# Types of numbers that are weights as they are; others are packed, as a quantization_config says.
PLAIN = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")


class Tensor(NamedTuple):
    """What the head of a file says of a tensor; `dtype` as safetensors names it, such as F32."""

    shape: tuple[int, ...]
    dtype: str


def tensors(place: Place) -> dict[str, Tensor]:
    """Names, shapes and types of all tensors that transformers reads from a folder.

    Parameters
    ----------
    place : Place
        The model.

    Returns
    -------
    dict of str to Tensor

    Raises
    ------
    UserError
        If a file is damaged or missing, or the index names what is in none.
    """
    if SINGLE in place.names:  # which transformers prefers
        return _header(place.folder / SINGLE)
    index = place.folder / INDEX
    if INDEX not in place.names:
        raise refusal(place.folder, f"neither {SINGLE} nor {INDEX} in it")
    files = read_json(index).get("weight_map")
    if not is_dict(files) or not files:
        raise refusal(index, "weight_map: missing or empty")
    header_of: dict[str, Tensor] = {}
    for shard in sorted({str(shard) for shard in files.values()}):
        if not WEIGHTS.fullmatch(shard):
            raise refusal(index, f"weight_map: found {shard!r}, expected a file model*.safetensors")
        if shard not in place.names:
            raise refusal(place.folder / shard, f"no such file, but {INDEX} names it")
        header = _header(place.folder / shard)
        lost = [name for name, of in files.items() if of == shard and name not in header]
        if lost:
            raise refusal(place.folder / shard, f"{_some(lost)}: not in it, but {INDEX} says so")
        header_of |= header
    return header_of


def skeleton(auto: Any, config: Any, place: Place, view: Path) -> Any:
    """Build a model without weights, and check that its files have all of them.

    Parameters
    ----------
    auto : type
        From `reading.loader`.
    config : PreTrainedConfig
        From `reading.configuration`.
    place, view : Place and Path
        The model.

    Returns
    -------
    PreTrainedModel
        On torch's device ``meta``: it takes no memory, however large the model.

    Raises
    ------
    UserError
        If weights are missing, unexpected or of another shape.
    """
    import torch

    header = tensors(place)
    packed = [k for k, t in header.items() if k.endswith("weight") and t.dtype not in PLAIN]
    if packed:
        raise refusal(
            place.folder,
            f"packed weights without a quantization_config in config.json: {_some(sorted(packed))}",
        )
    given = {
        name: torch.empty(tensor.shape, device="meta", dtype=torch.float32)
        for name, tensor in header.items()
    }
    with library(place.folder / "config.json", view, place):
        with torch.device("meta"):
            made = auto.from_config(config, trust_remote_code=False)
        kind = cast(Any, type(made))
        model, info = kind.from_pretrained(
            None,
            config=made.config,
            state_dict=given,
            device_map={"": "meta"},
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    require_whole(info, model, config, place)
    return model


def require_whole(
    info: dict[str, Any], model: Any, config: Any, place: Place, quantised: bool = False
) -> None:
    """Refuse a model some of whose weights were not in its files: they would be drawn at random.

    Parameters
    ----------
    info : dict
        transformers' ``loading_info``.
    model : PreTrainedModel
        The model that was loaded.
    config : PreTrainedConfig
        As it was read; of a model of text and images whose text half was loaded, both halves'.
    place : Place
        Where the weights are, for the message.
    quantised : bool
        Whether numbers that unpack the weights may lie beside them.

    Raises
    ------
    UserError
        Naming the first tensors, and how many there are.
    """
    name = type(model).__name__
    if missing := sorted(info["missing_keys"]):
        raise refusal(place.folder, f"weights of {name} are missing: {_some(missing)}")
    if wrong := sorted(info["mismatched_keys"]):
        shown = [f"{key} is {_shape(found)}, not {_shape(size)}" for key, found, size in wrong]
        raise refusal(place.folder, f"weights do not fit config.json: {_some(shown)}")
    if info["error_msgs"]:
        raise refusal(place.folder, " ".join(" ".join(info["error_msgs"]).split()))
    other = sorted(_unknown(info["unexpected_keys"], model, config))
    if other and not quantised:
        raise refusal(place.folder, f"weights that {name} does not have: {_some(other)}")


def _unknown(keys: Iterable[str], model: Any, config: Any) -> list[str]:
    """Keys that are neither constants nor of a half of the model that was not asked for."""
    constants = {name for name, _ in model.named_buffers()}
    unknown = [key for key in keys if key not in constants and not CONSTANT.search(key)]
    if type(config) is type(model.config):
        return unknown
    # Only the half for text was loaded of a model that has others: vision_config, audio_config, …
    halves = {name.removesuffix("_config") for name in config.sub_configs} - {"text"}
    others = re.compile("|".join([*sorted(halves), "visual", "projector", "connector", "embed_au"]))
    return [key for key in unknown if not others.search(key)]


def _header(file: Path) -> dict[str, Tensor]:
    """Tensors of one file."""
    from safetensors import safe_open

    with library(file), cast(Any, safe_open(file, "pt")) as opened:
        slices = {name: opened.get_slice(name) for name in list(opened.keys())}
        return {k: Tensor(tuple(s.get_shape()), s.get_dtype()) for k, s in slices.items()}


def _some(names: list[str]) -> str:
    """The first of some names, and how many there are."""
    shown = ", ".join(names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown}, … ({len(names)} in all)"


def _shape(size: Iterable[int]) -> str:
    """A shape as text: 64 x 32."""
    return " x ".join(map(str, size)) or "a number"
