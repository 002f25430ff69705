"""Schemas of the sections of params.yaml: every class of a `config.py` that says its `SECTION`."""

import importlib
from pathlib import Path
from typing import Any

from stages.lib.model import readout

STAGES = Path(__file__).resolve().parents[1]


def schemas() -> dict[str, Any]:
    """Find the schema of each section.

    Returns
    -------
    dict of str to type
        Frozen dataclasses by section, in the order of the modules' names.

    Raises
    ------
    ValueError
        If two classes say the same section.
    """
    found: dict[str, Any] = {}
    for schema in (readout.Config, *_of_config_files()):
        if schema.SECTION in found:
            raise ValueError(f"two schemas of section {schema.SECTION!r}")
        found[schema.SECTION] = schema
    return found


def _of_config_files() -> list[Any]:
    """The classes with a section in every `config.py` under `stages`."""
    files = sorted(STAGES.rglob("config.py"))
    names = [".".join(file.relative_to(STAGES.parent).with_suffix("").parts) for file in files]
    return [
        value
        for module in map(importlib.import_module, names)
        for value in vars(module).values()
        if hasattr(value, "SECTION") and value.__module__ == module.__name__
    ]
