"""Tables of pages that have one row per stage or file have all of them."""

import re

import pytest

from tests.docs import pages
from tests.pipeline.closure import ROOT

NODES = sorted(
    {file.parent.name for name in ("figure", "scores") for file in ROOT.glob(f"stages/*/{name}.py")}
)
FILES = sorted(file.stem for file in ROOT.glob("metrics/*.json"))


def column(name: str, number: int) -> set[str]:
    """What stands in backticks in one column of the tables of a page."""
    rows = re.findall(r"^\| .+ \|$", pages.text(name), re.MULTILINE)
    cells = [row.strip("|").split(" | ") for row in rows]
    return {
        word for row in cells if len(row) > number for word in re.findall("`(.+?)`", row[number])
    }


@pytest.mark.parametrize("node", NODES)
def test_a_stage_that_counts_or_draws_is_in_the_table_from_the_paper_to_the_files(node):
    assert node in column("stages/README.md", 1)


@pytest.mark.parametrize("file", FILES)
def test_a_file_of_metrics_is_in_both_tables(file):
    """Other tables of stages/README.md name no files of metrics/."""
    assert file in column("metrics/README.md", 0)
    assert f"{file}.json" in column("stages/README.md", 2) or file == "summary"


def test_there_are_stages_and_files():
    assert len(NODES) > 20
    assert len(FILES) > 20
