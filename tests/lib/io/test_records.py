"""Metrics are read as they were written, and what is no such file is named."""

from dataclasses import dataclass
from typing import Annotated

import pytest
from pydantic import Field

from stages.lib.io import records
from stages.lib.io.cli import UserError
from stages.lib.stats import Interval


@dataclass(frozen=True)
class Metrics:
    n_heads: int | None
    gap: Annotated[dict[str, Interval], Field(alias="a - b")]


WRITTEN = Metrics(None, {"p_correct": Interval(0.5, 0.25, 0.75, 8)})


def test_what_was_written_is_read(tmp_path):
    records.write(tmp_path / "m.json", WRITTEN)
    assert records.read(tmp_path / "m.json", Metrics) == WRITTEN


def test_a_key_that_is_no_name_is_an_alias(tmp_path):
    records.write(tmp_path / "m.json", WRITTEN)
    assert '"a - b": {' in (tmp_path / "m.json").read_text()


def test_another_files_metrics_are_refused_by_name(tmp_path):
    file = tmp_path / "m.json"
    file.write_text('{"n_heads": 3, "a - b": {"p_correct": {"value": "high"}}}')
    with pytest.raises(UserError, match=r"m.json: cut or changed .*a - b.p_correct.value"):
        records.read(file, Metrics)
