"""From what a library says of a user's file to one clear line, and the configuration of a model."""

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from stages.lib.io.cli import UserError
from stages.lib.io.narrow import is_dict
from stages.lib.model.pretrained.files import Place

LENGTHS = ("max_position_embeddings", "n_positions")  # keys of how many tokens a model reads
LONGEST = 300  # characters of a library's message
CODE = "code of its own (auto_map), which is never run"


def refusal(what: object, found: str) -> UserError:
    """One line about the model that params.yaml names."""
    return UserError(f"params.yaml: model.source: {what}: {found}")


@contextmanager
def library(what: object, view: Path | None = None, place: Place | None = None) -> Generator[None]:
    """Turn any error of a library that reads a user's file into one line.

    Only calls into transformers, tokenizers, safetensors and the like may stand in the block: the
    tokenizers library raises plain `Exception`, so that nothing narrower can be caught.

    Parameters
    ----------
    what : object
        What is read, for the message.
    view, place : Path and Place, or None
        Where the library reads, which the message is to name by the user's own folder.

    Raises
    ------
    UserError
        With the library's own words, on one line.
    """
    try:
        yield
    except UserError:
        raise
    except BaseException as error:
        # The panic of a library in Rust is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        words = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())
        if view is not None and place is not None:
            words = words.replace(str(view), str(place.folder))
        if "trust_remote_code" in words:
            raise refusal(what, f"needs {CODE}") from None
        words = words if len(words) <= LONGEST else f"{words[:LONGEST]}…"
        raise refusal(what, f"{type(error).__name__}: {words}") from None


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    UserError
        If the file cannot be read or holds anything else.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise refusal(file, str(error.strerror or error).lower()) from None
    except ValueError as error:
        raise refusal(file, f"not JSON: {error}") from None
    except RecursionError:
        raise refusal(file, "not JSON: nested too deeply") from None
    if not is_dict(values):
        raise refusal(file, f"found a {type(values).__name__}, expected a JSON object")
    return values


def configuration(place: Place, view: Path) -> Any:
    """Read a model's config.json.

    Parameters
    ----------
    place : Place
        The model.
    view : Path
        From its `view`.

    Returns
    -------
    PreTrainedConfig

    Raises
    ------
    UserError
        If transformers does not know the type of model, or refuses a value.
    """
    import transformers
    from transformers import CONFIG_MAPPING, AutoConfig

    file = place.folder / "config.json"
    values = read_json(file)
    _require_length(file, values)
    if "model_type" not in values:
        # transformers would guess it from the folder's name.
        raise refusal(file, "model_type: key is missing, expected a model of transformers")
    if not isinstance(kind := values["model_type"], str) or kind not in CONFIG_MAPPING:
        code = f"; the model brings {CODE}" if "auto_map" in values else ""
        known = f"unknown to transformers {transformers.__version__}"
        raise refusal(file, f"model_type: {kind!r} is {known}{code}")
    with library(file, view, place):
        config = cast(Any, AutoConfig).from_pretrained(str(view), trust_remote_code=False)
        # config.json may ask for an attention function from the hub, which is code.
        config._attn_implementation = None
        # Without, models would give tuples, whose places differ from one to another.
        config.return_dict = config.get_text_config().return_dict = True
    config._name_or_path = place.name  # by which transformers knows some tokenizers
    return config


def _require_length(file: Path, values: dict[str, Any]) -> None:
    """Refuse a model that reads no token: transformers takes any number."""
    text = values.get("text_config")
    for part in (values, text if is_dict(text) else {}):
        for key in LENGTHS:
            if isinstance(length := part.get(key), int | float) and length <= 0:
                raise refusal(file, f"{key}: found {length}, expected at least 1")


def loader(config: Any, place: Place) -> Any:
    """Choose the Auto class that makes the language model of a configuration.

    Raises
    ------
    UserError
        If the model does not continue a text.
    """
    from transformers import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
    )

    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        return AutoModelForCausalLM
    # With its encoder of images, which no prompt reaches.
    if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and not config.is_encoder_decoder:
        return AutoModelForImageTextToText
    code = f"; the model brings {CODE}" if getattr(config, "auto_map", None) else ""
    raise refusal(
        place.folder / "config.json",
        f"model_type: {config.model_type!r} has no causal language model in transformers{code}",
    )


def quantisation(config: Any, place: Place) -> Any:
    """Find what unpacks a model's weights, or None where they are plain numbers.

    Raises
    ------
    UserError
        If the library that it needs, or the GPU, is not there.
    """
    import torch
    from transformers.quantizers.auto import AutoHfQuantizer

    quantizers = cast(Any, AutoHfQuantizer)
    quantised = getattr(config, "quantization_config", None)
    quantised = quantised or getattr(config.get_text_config(), "quantization_config", None)
    if not quantised:
        return None
    where = f"{place.folder / 'config.json'}: quantization_config"
    values: dict[str, Any] = quantised if is_dict(quantised) else quantised.to_dict()
    method = values.get("quant_method") or values.keys() & {"load_in_4bit", "load_in_8bit"}
    with library(f"{where}: {method or 'no quant_method'}"):
        if not quantizers.supports_quant_method(dict(values)):
            raise refusal(f"{where}.quant_method", f"{method!r} is unknown to transformers")
        quantizer = quantizers.from_config(quantised, pre_quantized=True)
        where_to = {"": "cuda"} if torch.cuda.is_available() else None
        quantizer.validate_environment(device_map=where_to, weights_only=True)
    return quantizer
