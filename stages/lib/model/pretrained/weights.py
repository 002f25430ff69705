"""Check that a model's weights are complete, by names and shapes in the files' headers."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, cast

from stages.lib.io.narrow import is_dict
from stages.lib.model.pretrained.files import WEIGHTS, Place
from stages.lib.model.pretrained.reading import library, read_json, refusal

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
NAMED = 5  # number of tensors that a message names
# Constants that older versions of transformers saved beside the weights.
CONSTANT = re.compile(
    r"(^|\.)(masked_bias|inv_freq|position_ids|rope\.freqs|(attn|attention)\.bias|causal_mask)$"
)
# Dtypes of plain weights; weights of other dtypes are packed, as a quantization_config describes.
PLAIN = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")


class Tensor(NamedTuple):
    """Shape of a tensor in a file's header, and dtype, as safetensors names it, such as F32."""

    shape: tuple[int, ...]
    dtype: str


def tensors(place: Place) -> dict[str, Tensor]:
    """Return names, shapes and dtypes of all tensors that transformers reads from a folder.

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
        If a file is damaged or missing, or the index names a tensor that is in no file.
    """
    if SINGLE in place.names:  # transformers prefers it to an index
        return _header(place.folder / SINGLE)
    index = place.folder / INDEX
    if INDEX not in place.names:
        raise refusal(place.folder, f"neither {SINGLE} nor {INDEX} in it")
    files = read_json(index).get("weight_map")
    if not is_dict(files) or not files:
        raise refusal(index, "weight_map: missing or empty")
    headers: dict[str, Tensor] = {}
    for shard in sorted({str(shard) for shard in files.values()}):
        if not WEIGHTS.fullmatch(shard):
            raise refusal(index, f"weight_map: found {shard!r}, expected a file model*.safetensors")
        if shard not in place.names:
            raise refusal(place.folder / shard, f"no such file, but {INDEX} names it")
        header = _header(place.folder / shard)
        lost_tensors = [
            name for name, holder in files.items() if holder == shard and name not in header
        ]
        if lost_tensors:
            raise refusal(
                place.folder / shard,
                f"{_first_names(lost_tensors)}: not in it, but {INDEX} lists it there",
            )
        headers |= header
    return headers


def skeleton(auto: Any, config: Any, place: Place, view: Path) -> Any:
    """Build a model without weights, and check that its files hold all of them.

    Parameters
    ----------
    auto : type
        From `reading.loader`.
    config : PreTrainedConfig
        From `reading.configuration`.
    place, view : Place and Path
        The model, and its folder of links.

    Returns
    -------
    PreTrainedModel
        On torch's device ``meta``: it takes no memory, however large the model is.

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
            "packed weights without a quantization_config in config.json: "
            f"{_first_names(sorted(packed))}",
        )
    empty_weights = {
        name: torch.empty(tensor.shape, device="meta", dtype=torch.float32)
        for name, tensor in header.items()
    }
    with library(place.folder / "config.json", view, place):
        with torch.device("meta"):
            blank_model = auto.from_config(config, trust_remote_code=False)
        kind = cast(Any, type(blank_model))
        model, info = kind.from_pretrained(
            None,
            config=blank_model.config,
            state_dict=empty_weights,
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
    """Refuse a model if weights are missing in its files: they would be initialised at random.

    Parameters
    ----------
    info : dict
        transformers' ``loading_info``.
    model : PreTrainedModel
        The model that was loaded.
    config : PreTrainedConfig
        The configuration as read. If only the text half of a model of text and images was loaded,
        that of both halves.
    place : Place
        Place of the weights, for the message.
    quantised : bool
        Whether the files may hold further tensors, which serve to unpack the weights.

    Raises
    ------
    UserError
        Names the first tensors, and how many there are.
    """
    name = type(model).__name__
    if missing := sorted(info["missing_keys"]):
        raise refusal(place.folder, f"weights of {name} are missing: {_first_names(missing)}")
    if mismatches := sorted(info["mismatched_keys"]):
        listing = [
            f"{key} is {_shape(file_shape)}, not {_shape(size)}"
            for key, file_shape, size in mismatches
        ]
        raise refusal(place.folder, f"weights do not fit config.json: {_first_names(listing)}")
    if info["error_msgs"]:
        raise refusal(place.folder, " ".join(" ".join(info["error_msgs"]).split()))
    unexpected = sorted(_unknown(info["unexpected_keys"], model, config))
    if unexpected and not quantised:
        raise refusal(
            place.folder, f"weights that {name} does not have: {_first_names(unexpected)}"
        )


def _unknown(keys: Iterable[str], model: Any, config: Any) -> list[str]:
    """Return the keys that are neither constants nor of a half of the model that was not loaded."""
    constants = {name for name, _ in model.named_buffers()}
    unknown = [key for key in keys if key not in constants and not CONSTANT.search(key)]
    if type(config) is type(model.config):
        return unknown
    # Only the text half was loaded of a model that has other halves: vision_config, audio_config, …
    halves = {name.removesuffix("_config") for name in config.sub_configs} - {"text"}
    other_halves = re.compile(
        "|".join([*sorted(halves), "visual", "projector", "connector", "embed_au"])
    )
    return [key for key in unknown if not other_halves.search(key)]


def _header(file: Path) -> dict[str, Tensor]:
    """Return the tensors in one file's header."""
    from safetensors import safe_open

    with library(file), cast(Any, safe_open(file, "pt")) as opened:
        slices = {name: opened.get_slice(name) for name in list(opened.keys())}
        return {k: Tensor(tuple(s.get_shape()), s.get_dtype()) for k, s in slices.items()}


def _first_names(names: list[str]) -> str:
    """Join the first `NAMED` names, with the total if there are more."""
    listing = ", ".join(names[:NAMED])
    return listing if len(names) <= NAMED else f"{listing}, … ({len(names)} in all)"


def _shape(size: Iterable[int]) -> str:
    """Return a shape as text: 64 x 32."""
    return " x ".join(map(str, size)) or "a number"
