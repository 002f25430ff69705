"""Numbers in texts are those of the metrics; see numbers.yaml."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.bench import report as bench
from tests.docs import numbers
from tests.pipeline.closure import ROOT

PIECES = YAML(typ="safe").load(Path(__file__).with_name("numbers.yaml"))
DECIMAL = re.compile(r"\d+\.\d+")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def results() -> str:
    """The table of results of README.md."""
    return re.findall(
        r"^\| question \|.*?(?=\n\n)", text_of("README.md"), re.DOTALL | re.MULTILINE
    )[0]


@pytest.mark.parametrize("name", PIECES)
def test_numbers_are_those_of_the_metrics(name):
    lines = numbers.differences(name, text_of(name), PIECES[name])
    assert not lines, "\n" + "\n".join(lines)


def test_every_decimal_number_in_the_table_of_results_is_compared():
    assert DECIMAL.search(results())
    assert DECIMAL.findall(numbers.covered(results(), PIECES["README.md"])) == []


def test_a_wrong_number_is_named_with_its_file_and_its_source():
    piece = ["{transplant.by_topic.all.source} as `honest`"]
    right = numbers.shown("transplant.by_topic.all.source", "")
    assert numbers.differences("A.md", f"accuracy {right}\nas `honest`", piece) == []
    assert numbers.differences("A.md", "accuracy 0.5 [0.4, 0.6] as `honest`", piece) == [
        f"A.md: 0.5 [0.4, 0.6] is written, transplant.by_topic.all.source says {right}"
    ]
    (missing,) = numbers.differences("A.md", "nothing", piece)
    assert missing.startswith("A.md: no text like ")


def test_a_number_that_no_piece_has_is_found():
    assert DECIMAL.findall(numbers.covered("a 0.1 b 0.2", ["a {heads.n_heads}"])) == ["0.2"]


def verdicts(table: str, column: int) -> dict[str, str]:
    """Verdicts of a table by its first column, without links and emphasis."""
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    plain = [[re.sub(r"^\[(.+)\]\(#.*\)$", r"\1", cell).strip("*") for cell in row] for row in rows]
    return {row[0]: row[column] for row in plain if len(row) > 1}


def test_verdicts_are_those_of_the_report_on_the_questions_that_it_has_too():
    ours, report = verdicts(results(), -1), verdicts(text_of("plots/report.md"), 1)
    assert len(ours) == 6
    assert len(report) > 10
    both = set(ours) & set(report) - {"question"}
    assert {q: ours[q] for q in both} == {q: report[q] for q in both}


def test_verdicts_are_read_from_both_kinds_of_table():
    assert verdicts("| q | r | v |\n|---|---|---|\n| A? | 0.5 | no |", -1) == {"q": "v", "A?": "no"}
    assert verdicts("| [A?](#a) | **no** | x |", 1) == {"A?": "no"}


def test_readme_is_of_one_sitting():
    assert len(text_of("README.md").encode()) <= 9 * 1024


@pytest.mark.parametrize("length", ["default", "long"])
def test_the_tables_of_the_benchmarks_are_what_was_measured(length):
    table = bench._table(bench._read(ROOT / f"tests/bench/{length}.json")).split("\n\n")[0]
    assert table in text_of("tests/bench/README.md")


def test_the_verdicts_that_are_counted_are_those_of_the_report():
    counted = "{0} claims: {1} supported, {2} not supported, {3} inconclusive"
    told = r"of (\d+) claims (\d+) are supported, (\d+) are not, and (\d+) are inconclusive"
    (numbers_of,) = re.findall(told, " ".join(text_of("README.md").split()))
    assert counted.format(*numbers_of) in " ".join(text_of("plots/report.md").split())
