"""Finds the files in which nodes declare their schemas, figures and claims."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

STAGES = Path(__file__).resolve().parents[2]


def modules(pattern: str) -> list[ModuleType]:
    """Import the modules whose files match a pattern.

    Parameters
    ----------
    pattern : str
        Glob of files in `stages`, such as ``*/metrics.py``.

    Returns
    -------
    list of module
        Sorted by file name.
    """
    files = [file.relative_to(STAGES).with_suffix("") for file in sorted(STAGES.glob(pattern))]
    return [importlib.import_module(".".join(("stages", *file.parts))) for file in files]


def classes(pattern: str, attribute: str) -> list[Any]:
    """Find the classes with an attribute that the matching modules define, not those they import.

    Parameters
    ----------
    pattern : str
        As in `modules`.
    attribute : str
        Name of the attribute, such as ``SECTION``.
    """
    return [
        value
        for module in modules(pattern)
        for value in vars(module).values()
        if hasattr(value, attribute) and getattr(value, "__module__", None) == module.__name__
    ]
