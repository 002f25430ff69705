"""Read a model's configuration, and turn libraries' errors on a user's file into one line."""

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from stages.lib.io.cli import UserError
from stages.lib.io.narrow import is_dict
from stages.lib.model.pretrained.files import Place

LENGTHS = (
    "max_position_embeddings",
    "n_positions",
)  # keys of the number of tokens that a model reads
LONGEST = 300  # characters of a library's message
CODE = "code of its own (auto_map), which is never run"


def refusal(what: object, reason: str) -> UserError:
    """Make an error of one line about the model of params.yaml."""
    return UserError(f"params.yaml: model.source: {what}: {reason}")


@contextmanager
def library(what: object, view: Path | None = None, place: Place | None = None) -> Generator[None]:
    """Turn any error of a library that reads a user's file into one line.

    Only calls into transformers, tokenizers, safetensors and the like may stand in the block: the
    tokenizers library raises plain `Exception`, so that nothing narrower can be caught.

    Parameters
    ----------
    what : object
        What is being read, for the message.
    view, place : Path and Place, or None
        Folder that the library reads, and the model: messages name the model's own folder instead.

    Raises
    ------
    UserError
        With the library's own message, on one line.
    """
    try:
        yield
    except UserError:
        raise
    except BaseException as error:
        # The panic of a library in Rust is not an Exception.
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
        If the file cannot be read, or does not hold a JSON object.
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
        From `Place.view`.

    Returns
    -------
    PreTrainedConfig

    Raises
    ------
    UserError
        If transformers does not know the model type, or refuses a value.
    """
    import transformers
    from transformers import CONFIG_MAPPING, AutoConfig

    file = place.folder / "config.json"
    values = read_json(file)
    _require_length(file, values)
    if "model_type" not in values:
        # Without the key, transformers would guess the type from the folder's name.
        raise refusal(file, "model_type: key is missing, expected a model of transformers")
    if not isinstance(kind := values["model_type"], str) or kind not in CONFIG_MAPPING:
        code = f"; the model brings {CODE}" if "auto_map" in values else ""
        problem = f"unknown to transformers {transformers.__version__}"
        raise refusal(file, f"model_type: {kind!r} is {problem}{code}")
    with library(file, view, place):
        config = cast(Any, AutoConfig).from_pretrained(str(view), trust_remote_code=False)
        # config.json may name an attention function on the hub, which is code.
        config._attn_implementation = None
        # Otherwise models return tuples, whose order differs between models.
        config.return_dict = config.get_text_config().return_dict = True
    config._name_or_path = place.name  # transformers recognises some tokenizers by this name
    return config


def _require_length(file: Path, values: dict[str, Any]) -> None:
    """Refuse a model that reads no token: transformers accepts any number."""
    text = values.get("text_config")
    for part in (values, text if is_dict(text) else {}):
        for key in LENGTHS:
            if isinstance(length := part.get(key), int | float) and length <= 0:
                raise refusal(file, f"{key}: found {length}, expected at least 1")


def loader(config: Any, place: Place) -> Any:
    """Return the Auto class that builds the language model of a configuration.

    Raises
    ------
    UserError
        If the model is not a causal language model.
    """
    from transformers import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
    )

    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        return AutoModelForCausalLM
    # The model includes its image encoder, which no prompt uses.
    if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and not config.is_encoder_decoder:
        return AutoModelForImageTextToText
    code = f"; the model brings {CODE}" if getattr(config, "auto_map", None) else ""
    raise refusal(
        place.folder / "config.json",
        f"model_type: {config.model_type!r} has no causal language model in transformers{code}",
    )


def quantisation(config: Any, place: Place) -> Any:
    """Return the quantizer that unpacks a model's weights, or None for plain weights.

    Raises
    ------
    UserError
        If the quantizer needs a library or a GPU that is missing.
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
        placement = {"": "cuda"} if torch.cuda.is_available() else None
        quantizer.validate_environment(device_map=placement, weights_only=True)
    return quantizer
