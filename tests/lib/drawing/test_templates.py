"""Fields that a DVC plot template shows are columns of tables that are drawn with it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.pipeline.closure import ROOT

OF_DVC = {"rev", "<DVC_METRIC_X>", "<DVC_METRIC_Y>"}


def plots() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every plot of dvc.yaml: its file, and how it is drawn."""
    declared = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())
    stages = [stage.get("do", stage) for stage in declared["stages"].values()]
    every = [plot for stage in stages for plot in stage.get("plots", [])] + declared["plots"]
    for plot in every:
        if isinstance(plot, dict):
            yield from plot.items()


def values(template: Any, key: str) -> Iterator[str]:
    """All texts under a key, at any depth."""
    if isinstance(template, dict):
        for name, value in template.items():
            if name == key:
                yield from value if isinstance(value, list) else [value]
            yield from values(value, key)
    elif isinstance(template, list):
        for value in template:
            yield from values(value, key)


FILES = {file.stem: file for file in (ROOT / ".dvc" / "plots").glob("*.json")}


@pytest.mark.parametrize("name", FILES)
def test_the_fields_of_a_template_are_columns_or_made_in_it(name):
    """A template that draws several tables shows what some of them have."""
    drawing = json.loads(FILES[name].read_text())
    drawn = [json.loads((ROOT / file).read_text()) for file, how in plots()
             if how.get("template") == name]  # fmt: skip
    columns = {column for rows in drawn for row in rows for column in row}
    made = {field for field in values(drawing, "as") if isinstance(field, str)}
    fields = {field for field in values(drawing, "field") if isinstance(field, str)}
    assert columns
    assert fields <= columns | made | OF_DVC
