"""The weights of an organism: a base model with its adapters merged into them."""

import json
from pathlib import Path
from typing import Any

from stages.lib.io.cli import UserError
from stages.lib.io.narrow import is_dict
from stages.lib.weights import adapter
from stages.lib.weights.config import ModelConfig
from stages.lib.weights.fetch import Fetched
from stages.lib.weights.recipe import FACTS, adapters

SAMPLING = "generation_config.json"


def make(
    fetched: Fetched, config: ModelConfig, organisms: Path, folder: Path, dose: float = 1.0
) -> tuple[Fetched, dict[str, Any]]:
    """Merge the adapters of `model.organism` into a base model.

    Parameters
    ----------
    fetched : Fetched
        The base model.
    config : ModelConfig
        Section `model` of params.yaml.
    organisms : Path
        Folder of the adapters, each in a subfolder of its name.
    folder : Path
        Folder to which merged weights and tokenizer are written.
    dose : float
        Share of the lying adapter's change that is merged in.

    Returns
    -------
    Fetched
        The organism, in `folder`.
    dict
        Name of the organism, and the layers that were trained to lie on instruction: empty for
        an organism of one adapter.

    Raises
    ------
    UserError
        If there is no such organism, it was trained on other weights, or one of its files is cut or
        changed.
    """
    name = str(config.organism)
    _require_name(name, organisms)
    on_base, *lies = (organisms / adapter_name for adapter_name in adapters(name))
    for path, under in ((on_base, None), *((lie, on_base) for lie in lies)):
        _require_base(path, config)
        adapter.require_whole(path)
        if adapter.trained_on(path) != adapter.ground(fetched, under):
            raise UserError(
                f"{path}: was trained on other weights than those of {config.source}"
                f"{f' and {under}' if under else ''}; train it again, or use the weights it needs"
            )
    model, tokenizer = adapter.base(fetched)
    model = adapter.merge(model, on_base)
    for lie in lies:
        model = adapter.merge(model, lie, dose)
    sampling = _sampling(fetched.folder)  # not read here: the organism keeps that of its base
    model.save_pretrained(folder)
    if sampling is not None:
        (folder / SAMPLING).write_bytes(sampling)
    tokenizer.save_pretrained(folder)
    trained = sorted(layer for lie in lies for layer in _settings(lie)["layers_to_transform"])
    return (
        Fetched("organism", fetched.source, fetched.revision, folder),
        {"name": name, "layers": trained},
    )


def _sampling(folder: Path) -> bytes | None:
    """Return the content of a model's generation_config.json; None if there is none."""
    file = folder / SAMPLING
    return file.read_bytes() if file.is_file() else None


def _require_name(name: str, organisms: Path) -> None:
    """Refuse an organism whose adapters are missing."""
    adapter_names = {file.parent.name for file in organisms.glob(f"*/{adapter.WEIGHTS}")}
    organism_names = adapter_names if FACTS in adapter_names else set[str]()
    if name not in organism_names:
        raise UserError(
            f"params.yaml: model.organism: unknown organism {name!r}, expected "
            f"{' or '.join(['null', *sorted(organism_names)])}"
        )


def _require_base(path: Path, config: ModelConfig) -> None:
    """Refuse an adapter whose base model has another name than `model.source`."""
    base = _settings(path)["base_model_name_or_path"]
    if base != config.source:
        raise UserError(
            f"params.yaml: model.organism: {path.name!r} was trained on {base}, not on "
            f"model.source {config.source}; set model.organism to null"
        )


def _settings(path: Path) -> dict[str, Any]:
    """Read peft's configuration of an adapter."""
    file = path / adapter.CONFIG
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise adapter.broken(file, error) from None
    for key in ("base_model_name_or_path", "layers_to_transform"):
        if not is_dict(settings) or key not in settings:
            raise adapter.broken(file, f"{key} is missing")
    return settings
