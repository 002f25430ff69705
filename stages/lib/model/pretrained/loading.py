"""The only module that calls `from_pretrained`, and never with code from a model's folder."""

import logging as std_logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from stages.lib.io.narrow import is_dict
from stages.lib.model.pretrained import reading, weights
from stages.lib.model.pretrained.files import Place
from stages.lib.model.pretrained.reading import library, refusal

# Files that hold a vocabulary, by prefix; without one transformers may make an empty vocabulary.
VOCABULARIES = ("tokenizer.json", "vocab.", "tokenizer.model", "tekken.json")
SETTINGS = ("tokenizer", "special_tokens_map", "added_tokens")
TEMPLATE = "chat_template.json"  # where older models that see images keep it
# Models whose tokenizer.json may have the wrong rule that splits a text into words. transformers
# knows which do, and only warns unless it is told to correct the rule.
CORRECTED = ("mistral", "mistral3", "ministral", "pixtral", "voxtral")
NEVER = {"trust_remote_code": False}
SAFE = NEVER | {"use_safetensors": True}


def tokenizer(place: Place) -> Any:
    """Load a model's tokenizer.

    Parameters
    ----------
    place : Place
        The model.

    Returns
    -------
    PreTrainedTokenizerBase

    Raises
    ------
    UserError
        If files of the tokenizer are missing or damaged, or the tokenizer needs code of its own,
        assigns random ids to a text, or splits special tokens.
    """
    from transformers import AutoTokenizer

    vocabulary_files = [name for name in place.names if name.endswith((".model", ".tiktoken"))]
    if not vocabulary_files and not any(name.startswith(VOCABULARIES) for name in place.names):
        raise refusal(place.folder, "no tokenizer in it, expected tokenizer.json")
    view = place.view()
    for name in place.names:
        if name.endswith(".json") and name.startswith(SETTINGS):
            _require_same_ids(place.folder / name, reading.read_json(place.folder / name))
    config = reading.configuration(place, view)
    options = {"fix_mistral_regex": True} if config.model_type in CORRECTED else {}
    with library(f"{place.folder}: tokenizer", view, place):
        loaded = cast(Any, AutoTokenizer).from_pretrained(
            str(view), config=config, **options, **NEVER
        )
        ids = loaded("true", add_special_tokens=False)["input_ids"]
    if not ids or set(ids) <= {loaded.unk_token_id}:
        raise refusal(place.folder, f"the tokenizer gives {ids} for 'true', expected a token")
    if loaded.chat_template is None and TEMPLATE in place.names:
        loaded.chat_template = reading.read_json(place.folder / TEMPLATE).get("chat_template")
    return loaded


def _require_same_ids(file: Path, values: dict[str, Any]) -> None:
    """Refuse a tokenizer that assigns ids at random, or splits special tokens."""
    algorithm = values.get("model")
    dropout = algorithm.get("dropout") if is_dict(algorithm) else None
    if file.name == "tokenizer.json" and dropout:
        raise refusal(
            file,
            f"model.dropout: found {dropout}, by which a text gets other ids each time, expected "
            "null or 0",
        )
    if file.name == "tokenizer_config.json" and values.get("split_special_tokens"):
        raise refusal(
            file, "split_special_tokens: found true, expected false: turns begin with such tokens"
        )


def model(place: Place, dtype: Any, placement: Any = None) -> Any:
    """Load a model, all of whose weights must be in its files.

    Parameters
    ----------
    place : Place
        The model.
    dtype : torch.dtype
        Dtype of the weights.
    placement : object
        The ``device_map``; None is the CPU.

    Returns
    -------
    PreTrainedModel
        In evaluation mode.

    Raises
    ------
    UserError
        If the model cannot be loaded, or weights are missing, unexpected or of another shape.
    """
    view = place.view()
    config = reading.configuration(place, view)
    auto = reading.loader(config, place)
    quantised = reading.quantisation(config, place) is not None
    weights.tensors(place)
    with _quietly(), library(place.folder, view, place):
        loaded, info = auto.from_pretrained(
            str(view),
            config=config,
            dtype=dtype,
            device_map=placement,
            ignore_mismatched_sizes=True,  # `require_whole` names them
            output_loading_info=True,
            **SAFE,
        )
    weights.require_whole(info, loaded, config, place, quantised)
    return loaded.eval()


def skeleton(place: Place) -> Any:
    """Build a model on torch's device ``meta``, and check that its files hold all weights.

    Parameters
    ----------
    place : Place
        The model.

    Returns
    -------
    PreTrainedModel or None
        None for quantised weights, whose shapes only the library that unpacks them knows.

    Raises
    ------
    UserError
        If the model could not be loaded.
    """
    view = place.view()
    config = reading.configuration(place, view)
    auto = reading.loader(config, place)
    if reading.quantisation(config, place) is not None:
        weights.tensors(place)
        return None
    with _quietly():
        return weights.skeleton(auto, config, place, view)


def from_gguf(file: Path, name: str) -> tuple[Any, Any]:
    """Load the tokenizer and the model of a GGUF file, unpacked to float32.

    Parameters
    ----------
    file : Path
        The file.
    name : str
        Name of the file in error messages.

    Returns
    -------
    tokenizer : PreTrainedTokenizerBase
    model : PreTrainedModel
        A model that can be saved.

    Raises
    ------
    UserError
        If the file is not a model, or weights are missing.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    models = cast(Any, AutoModelForCausalLM)
    gguf_options = {"gguf_file": file.name}
    with _quietly(), library(name):
        loaded = cast(Any, AutoTokenizer).from_pretrained(str(file.parent), **gguf_options, **NEVER)
        unpacked, info = models.from_pretrained(
            str(file.parent), dtype="float32", output_loading_info=True, **gguf_options, **SAFE
        )
        # A model that was loaded from GGUF cannot be saved, so its weights move into a new model.
        settings = unpacked.config.to_dict()
        config = {k: v for k, v in settings.items() if k != "quantization_config"}
        config.pop("_name_or_path", None)
        fresh_model = models.from_config(unpacked.config.from_dict(config), **NEVER)
    weights.require_whole(info, unpacked, unpacked.config, Place(Path(name), (), name))
    fresh_model.load_state_dict(unpacked.state_dict())
    return loaded, fresh_model


def require_embeddings(loaded: Any, model: Any, place: Place) -> None:
    """Refuse a tokenizer that gives ids for which the model has no embedding.

    Tokens for images and sounds may have such ids: a special token that the chat template does not
    contain is in no prompt.

    Raises
    ------
    UserError
        Names the first such token, and how many there are.
    """
    n_rows = len(model.get_input_embeddings().weight)
    templates = str(loaded.chat_template)
    unused_tokens = {str(t) for t in loaded.added_tokens_decoder.values() if t.special}
    unused_tokens = {token for token in unused_tokens if token not in templates}
    unused_tokens -= {loaded.bos_token, loaded.eos_token, loaded.unk_token, loaded.pad_token}
    ids_beyond = {
        t: i for t, i in loaded.get_vocab().items() if i >= n_rows and t not in unused_tokens
    }
    if ids_beyond:
        token, number = min(ids_beyond.items(), key=lambda item: item[1])
        raise refusal(
            place.folder,
            f"the tokenizer has {len(ids_beyond)} tokens that the model has no embedding for, the "
            f"first {token!r} with id {number}, expected ids below {n_rows}",
        )


@contextmanager
def _quietly() -> Generator[None]:
    """Silence transformers' progress bars, warnings and its table of weights that were not loaded.

    The level is set on the root logger of transformers: a level on one of its other loggers makes
    transformers check a plan for several GPUs, which is not used, and warn of it.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    logger = std_logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(std_logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
