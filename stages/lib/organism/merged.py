"""The weights of an organism: a base model with its adapters merged into them."""

import json
from pathlib import Path
from typing import Any

from stages.lib.cli import UserError
from stages.lib.fetch import Config, Found
from stages.lib.organism import adapter
from stages.lib.organism.recipe import FOLDER, NONE, TRUTH


def make(found: Found, config: Config, folder: Path) -> tuple[Found, dict[str, Any]]:
    """Merge the adapters of `model.organism` into a base model.

    Parameters
    ----------
    found : Found
        The base model.
    config : Config
        Section `model` of params.yaml.
    folder : Path
        Where merged weights and tokenizer are written.

    Returns
    -------
    Found
        The organism, in `folder`.
    dict
        Its name, and the layers that a lie was planted in: none for the organism ``none``.

    Raises
    ------
    UserError
        If there is no such organism, or it was trained on another model.
    """
    name = str(config.organism)
    adapters = [FOLDER / TRUTH] if name == NONE else [FOLDER / TRUTH, FOLDER / name]
    for path in adapters:
        _require(path, name, config)
    model, tokenizer = adapter.base(found)
    for path in adapters:
        model = adapter.merge(model, path)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    planted = [] if name == NONE else sorted(_settings(adapters[-1])["layers_to_transform"])
    return (
        Found("organism", found.source, found.revision, folder),
        {"name": name, "layers": planted},
    )


def _require(path: Path, name: str, config: Config) -> None:
    """Refuse an adapter that is not there or was trained on another model."""
    if name == TRUTH or not (path / adapter.WEIGHTS).is_file():
        there = {file.parent.name for file in FOLDER.glob(f"*/{adapter.WEIGHTS}")} - {TRUTH}
        raise UserError(
            f"params.yaml: model.organism: unknown organism {name!r}, expected null or one of "
            f"{', '.join(sorted(there | {NONE}))}"
        )
    base = _settings(path)["base_model_name_or_path"]
    if base != config.source:
        raise UserError(
            f"params.yaml: model.organism: {name!r} was trained on {base}, not on model.source "
            f"{config.source}; set model.organism to null"
        )


def _settings(path: Path) -> dict[str, Any]:
    """Return peft's description of an adapter."""
    return json.loads((path / "adapter_config.json").read_text(encoding="utf-8"))
