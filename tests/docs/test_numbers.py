"""Numbers in texts are those of the metrics; see numbers.yaml."""

import functools
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.bench import report as bench
from tests.bench import scaling
from tests.docs import numbers, pages, sources

PIECES = YAML(typ="safe").load(Path(__file__).with_name("numbers.yaml"))
UNSOURCED = YAML(typ="safe").load(Path(__file__).with_name("unsourced.yaml"))
EVERY_PAGE = "every page"
DECIMAL = re.compile(r"\d+\.\d+")


def results() -> str:
    """The table of results of README.md."""
    return re.findall(
        r"^\| question \|.*?(?=\n\n)", pages.text("README.md"), re.DOTALL | re.MULTILINE
    )[0]


@pytest.mark.parametrize("name", PIECES)
def test_numbers_are_those_of_the_metrics(name):
    lines = numbers.differences(name, pages.text(name), PIECES[name])
    assert not lines, "\n" + "\n".join(lines)


def test_every_decimal_number_in_the_table_of_results_is_compared():
    assert DECIMAL.search(results())
    assert DECIMAL.findall(numbers.covered(results(), PIECES["README.md"])) == []


@functools.cache
def tables() -> dict[str, list[str]]:
    """Tables of pages that other tests compare as a whole."""
    return {
        "tests/bench/README.md": [bench_table("default"), bench_table("long")],
        "stages/SCALING.md": ["\n".join(scaling.costs()), "\n".join(scaling.memory())],
    }


def compared(name: str) -> list[str]:
    """Texts of a page whose numbers are compared with their sources."""
    return [*PIECES.get(name, []), *tables().get(name, [])]


def bench_table(length: str) -> str:
    """The table of what was measured with one length of prompts."""
    return bench._table(sources.runs(length)).split("\n\n")[0]


def unsourced(name: str) -> list[str]:
    """Texts of a page whose numbers no file has."""
    texts = [group["texts"] for group in UNSOURCED]
    return [
        text for by_page in texts for key in (name, EVERY_PAGE) for text in by_page.get(key, [])
    ]


@pytest.mark.parametrize("name", sorted(pages.names()))
def test_every_number_of_a_page_is_compared_or_said_to_have_no_source(name):
    lines = numbers.uncovered(name, pages.text(name), [*compared(name), *unsourced(name)])
    assert not lines, "neither in numbers.yaml nor in unsourced.yaml:\n" + "\n".join(lines)


def test_lists_name_pages_alone():
    named = {name for group in UNSOURCED for name in group["texts"]} | set(PIECES)
    assert named <= pages.names() | {EVERY_PAGE}


@pytest.mark.parametrize("group", UNSOURCED, ids=lambda group: group["why"])
def test_a_text_without_a_source_is_in_its_page_and_has_a_number(group):
    for name, texts in group["texts"].items():
        those = sorted(pages.names()) if name == EVERY_PAGE else [name]
        for text in texts:
            assert any(is_needed(text, page) for page in those), f"{name}: {text!r} is not needed"


def is_needed(text: str, name: str) -> bool:
    """Whether a page has the text, and in it a number that nothing compares."""
    spans = [result.span() for result in numbers.pattern(text).finditer(pages.text(name))]
    return any(numbers.NUMBER.search(uncompared(name)[start:end]) for start, end in spans)


@functools.cache
def uncompared(name: str) -> str:
    """A page without the texts whose numbers are compared."""
    return numbers.covered(pages.text(name), compared(name))


def test_numbers_that_need_a_source():
    text = "A 0.5 of 1,024 (12 %, 7\n%; n = 9), -0.25, 2.5x; 3 of Qwen2.5, 21, v1.2.3"
    result = [match[0] for match in numbers.NUMBER.finditer(text)]
    assert result == ["0.5", "1,024", "12", "7", "9", "0.25", "2.5"]


def test_a_number_without_a_source_is_named_with_its_page_and_line():
    text = "a 0.1\nb 0.2 c 0.3 and more\n\nd 0.4\ne 0.5"
    pieces = ["a {heads.n_heads}\nb {heads.n_heads}", "c 0.3…"]
    assert numbers.uncovered("A.md", text, pieces) == ["A.md:4: 0.4", "A.md:5: 0.5"]


def test_a_head_and_thousands_are_written_as_texts_have_them():
    assert numbers.shown("benchmark.organisms.middle_9.lying.0", "") == "20.0"
    assert numbers.shown("kill.runs", ",") == "33,403"


def test_a_wrong_number_is_named_with_its_file_and_its_source():
    piece = ["{transplant.by_topic.all.source} as `honest`"]
    right = numbers.shown("transplant.by_topic.all.source", "")
    assert numbers.differences("A.md", f"accuracy {right}\nas `honest`", piece) == []
    assert numbers.differences("A.md", "accuracy 0.5 [0.4, 0.6] as `honest`", piece) == [
        f"A.md: 0.5 [0.4, 0.6] is written, transplant.by_topic.all.source says {right}"
    ]
    twice = f"accuracy {right} as `honest`; 0.5 as `honest`"
    assert [line.split(" is ")[0] for line in numbers.differences("A.md", twice, piece)] == [
        "A.md: 0.5"
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
    ours, report = verdicts(results(), -1), verdicts(pages.text("plots/report.md"), 1)
    assert len(ours) == 6
    assert len(report) > 10
    both = set(ours) & set(report) - {"question"}
    assert {q: ours[q] for q in both} == {q: report[q] for q in both}


def test_verdicts_are_read_from_both_kinds_of_table():
    assert verdicts("| q | r | v |\n|---|---|---|\n| A? | 0.5 | no |", -1) == {"q": "v", "A?": "no"}
    assert verdicts("| [A?](#a) | **no** | x |", 1) == {"A?": "no"}


def test_readme_is_of_one_sitting():
    assert len(pages.text("README.md").encode()) <= 9 * 1024


@pytest.mark.parametrize("length", ["default", "long"])
def test_the_tables_of_the_benchmarks_are_what_was_measured(length):
    assert bench_table(length) in pages.text("tests/bench/README.md")


def test_the_verdicts_that_are_counted_are_those_of_the_report():
    counted = "{0} claims: {1} supported, {2} not supported, {3} inconclusive"
    told = r"of (\d+) claims (\d+) are supported, (\d+) are not, and (\d+) are inconclusive"
    (numbers_of,) = re.findall(told, " ".join(pages.text("README.md").split()))
    assert counted.format(*numbers_of) in " ".join(pages.text("plots/report.md").split())
