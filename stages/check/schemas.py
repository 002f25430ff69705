"""Schemas of the sections of params.yaml: every class of a `config.py` that has a `SECTION`."""

from typing import Any

from stages.lib.model.readout import ReadoutConfig
from stages.lib.results import nodes


def schemas() -> dict[str, Any]:
    """Find the schema of each section.

    Returns
    -------
    dict of str to type
        Frozen dataclasses by section.

    Raises
    ------
    ValueError
        If two classes have the same section.
    """
    by_section: dict[str, Any] = {}
    for schema in (ReadoutConfig, *nodes.classes("**/config.py", "SECTION")):
        if schema.SECTION in by_section:
            raise ValueError(f"two schemas of section {schema.SECTION!r}")
        by_section[schema.SECTION] = schema
    return by_section
