"""stages/REFERENCE.md is what `make reference` writes; its tables are those that stages write."""

from typing import Annotated

import pytest

from stages.lib.io.ranges import Count, Limit, OneOf, Range, Some
from tests.docs import reference
from tests.pipeline.closure import declared


def test_the_page_is_what_the_code_says():
    assert reference.FILE.read_text(encoding="utf-8") == reference.page(), "run `make reference`"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Count, "whole number, at least 1"),
        (Limit, "whole number, at least 1, or null"),
        (Annotated[str, OneOf("a", "b")], "one of a, b"),
        (str | None, "text, or null"),
        (Annotated[float, Range(above=0, below=1)], "number, above 0, below 1"),
        (Some[Count], "list; of each: whole number, at least 1; of the list: at least 1"),
        (dict, "mapping"),
    ],
)
def test_types_and_rules_in_words(kind, words):
    assert reference.expected(kind) == words


def test_every_table_of_dvc_yaml_is_there():
    """Folders hold some: `data/probes`, and one folder per organism of the benchmark."""
    outs = {
        out
        for stage in declared().values()
        for out in stage.get("outs", [])
        if isinstance(out, str)
    }
    outs = {out.replace("${item.persona}", "PERSONA") for out in outs if out.endswith(".parquet")}
    assert outs <= set(reference.tables())
    folders = {file.rsplit("/", 1)[0] for file in reference.tables() if file not in outs}
    assert folders == {
        "data/probes",
        "data/trace",
        "data/set_sizes",
        "data/erasure",
        "data/benchmark/ORGANISM",
    }


def test_a_column_says_what_it_is_in_the_schema_of_its_node_or_is_asked_to():
    assert "removed" not in reference.COLUMNS
    assert (
        reference.meaning("removed") == "fraction of z's variance that is erased, over all layers"
    )
    with pytest.raises(AssertionError, match="nothing: no comment behind this column"):
        reference.meaning("nothing")


def test_a_node_without_a_schema_writes_the_columns_of_patched_runs():
    tables = reference.tables()
    assert tables["data/controls.parquet"] == "controls.schema.SCHEMA"
    assert tables["data/single_heads.parquet"] == reference.RUNS
