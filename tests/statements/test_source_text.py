"""What a user's file of text may look like inside: separators, encodings, line ends, JSON."""

import csv
import json
import time
from pathlib import Path

import pytest

from tests.statements.test_sources import labels, message, read, write

TEXT = 'statement,label\nWater is wet.,1\n"Złoty, melted, is gas.",0\n'
EXPECTED = {"Water is wet.": True, "Złoty, melted, is gas.": False}
PAIR = {"Water is wet.": True, "Ice is hot.": False}


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_encodings_that_name_themselves_and_all_line_ends(
    tmp_path: Path, encoding: str, ends: str
) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    content = (mark + TEXT.replace("\n", ends)).encode(encoding)
    table = read(write(tmp_path, "a.csv", content))
    assert labels(table) == EXPECTED
    assert set(table["origin"].str.extract(r"(row \d+)")) == {"row 2", "row 3"}
    lines = [json.dumps({"statement": s, "label": v}) for s, v in EXPECTED.items()]
    content = (mark + ends.join(lines)).encode(encoding)
    assert labels(read(write(tmp_path, "a.jsonl", content))) == EXPECTED


@pytest.mark.parametrize(
    "content",
    [
        "statement;label\nWater is wet.;1\nIce is hot.;0\n",
        "label;note;statement\n1;a, b;Water is wet.\n0;;Ice is hot.\n",
        '"statement"\t"label"\n"Water is wet."\t1\nIce is hot.\t0\n',
        "sep=;\nstatement;label\nWater is wet.;1\nIce is hot.;0\n",
        'SEP=|\r\nstatement|label\r\n"Water is wet."|1\r\nIce is hot.|0\r\n',
        '"sep=,"\nstatement,label\nWater is wet.,1\nIce is hot.,0\n',
        "\n\nstatement,label,,\nWater is wet.,1,,\n,,,\nIce is hot.,0,x,y\n,,\n",
        'label, statement\n1, "Water is wet."\n0, Ice is hot.\n',
        ' statement ,"label"\nWater is wet.,1\nIce is hot.,0',
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_the_separator_is_the_one_that_gives_the_columns(
    tmp_path: Path, content: str, suffix: str
) -> None:
    assert labels(read(write(tmp_path, f"a.{suffix}", content))) == PAIR


def test_a_separator_in_a_text_is_a_separator_only_between_columns(tmp_path: Path) -> None:
    content = 'statement;label\nIce, melted, is water.;1\n"Steam; hot";0\n'
    table = read(write(tmp_path, "a.csv", content))
    assert labels(table) == {"Ice, melted, is water.": True, "Steam; hot": False}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "statement,label,a;statement;label\nx,1,2;y;0\n",
            "row 1: both ',' and ';' separate the columns statement and label, "
            "expected one separator",
        ),
        ("sep=x\nstatementxlabel\n", "row 1: found 'sep=x', expected a separator such as ;"),
        (
            "statement;truth;a, b\nx;1;2\n",
            "row 1: column 'label' is missing, found statement, truth, a, b",
        ),
        (
            "statement,label,note,note\nx,1,a,b\n",
            "row 1: column 'note' is there more than once, found statement, label, note, note",
        ),
        (
            "statement,label,caf\u00e9,cafe\u0301\nx,1,a,b\n",
            "row 1: column 'café' is there more than once, found statement, label, café, café",
        ),
        (
            "statement,label\nWater is wet.,1\n".encode("utf-16-le"),
            "line 1: found a NUL character, expected the file to be saved as UTF-8, "
            "or as UTF-16 with a byte order mark",
        ),
        (
            "statement,label\nWater is wet.,1\n".encode("utf-16")[:-3],
            "line 2: byte 63 is not UTF-16, expected the file to be saved as UTF-8",
        ),
        (
            "statement,label\r1,1\rgelée,1\r".encode("latin-1"),
            "line 3: byte 24 is not UTF-8, expected the file to be saved as UTF-8",
        ),
        (
            "statement,label\nIt\x92s wet.,1\n",
            "row 2: column 'statement': found U+0092 (a control character), expected text",
        ),
        (
            "statement,label,subject\nWater is wet.,1,wa\x07ter\n",
            "row 2: column 'subject': found U+0007 (a control character), expected text",
        ),
        (
            "statement,label\n\u200b\ufeff,1\n",
            "row 2: column 'statement' is empty, expected a sentence",
        ),
    ],
)
def test_what_is_ambiguous_or_broken_gets_one_line(
    tmp_path: Path, content: str | bytes, expected: str
) -> None:
    assert message(write(tmp_path, "a.csv", content)) == expected


def test_long_and_odd_names_of_columns_leave_one_line_of_some_length(tmp_path: Path) -> None:
    names = ['"a\nb"', "x" * 1000, *(f"c{i}" for i in range(1000))]
    result = message(write(tmp_path, "a.csv", ",".join(names) + "\n"))
    assert result.startswith("row 1: column 'statement' is missing, found a b, 'xxx")
    assert result.endswith("c8, c9 and 990 more")
    assert len(result) < 300


def test_a_field_may_be_longer_than_python_allows_unasked(tmp_path: Path) -> None:
    text = "Water is wet. " * 20_000
    csv.field_size_limit(131_072)
    table = read(write(tmp_path, "a.csv", f'statement,label\n"{text}",1\n'))
    assert table["statement"].item() == text.strip()


def test_line_ends_and_blanks_inside_a_statement_are_kept(tmp_path: Path) -> None:
    table = read(write(tmp_path, "a.csv", 'statement,label\n"Water\r\n  is\twet.\n",1\n'))
    assert table["statement"].item() == "Water\r\n  is\twet."
    assert table["subject"].item() == "Water is wet."


def test_a_json_file_may_be_one_array(tmp_path: Path) -> None:
    rows = [{"statement": text, "label": label} for text, label in PAIR.items()]
    for text in (json.dumps(rows), "\n " + json.dumps(rows, indent=2), json.dumps(rows, indent=1)):
        table = read(write(tmp_path, "a.json", text))
        assert labels(table) == PAIR
        assert set(table["origin"].str.extract(r"(row \d+)")) == {"row 1", "row 2"}


DEEP = 200_000


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "a.json",
            '[{"statement": "x", "label": 1},\n {"statement": "y" "label": 0}]',
            "line 2: not valid JSON (Expecting ',' delimiter), expected one array of objects",
        ),
        (
            "a.json",
            '[{"statement": "x", "label": 1}, ["y", 0]]',
            "row 2: found a JSON list, expected one array of objects",
        ),
        (
            "a.json",
            '{\n "data": []}',
            "row 1: not valid JSON (Expecting property name enclosed in double quotes), "
            "expected one object per line, or one array of objects",
        ),
        ("a.json", "[]", "no statements, expected at least one row"),
        (
            "a.json",
            '[{"statement": "x"}]',
            "row 1: column 'label' is missing, found statement",
        ),
        (
            "a.jsonl",
            '{"statement": "\\ud83d", "label": 1}',
            "row 1: column 'statement': found U+D83D (half a character, a lone surrogate), "
            "expected text",
        ),
        (
            "a.jsonl",
            '{"statement": "x", "label": 1, "object": "\\u0000"}',
            "row 1: column 'object': found U+0000 (a control character), expected text",
        ),
        (
            "a.jsonl",
            '{"statement": "x", "label": 1}\n{"statement": "y", "label": 1, "label": 0}',
            "row 2: key 'label' is there more than once",
        ),
        (
            "a.jsonl",
            '{"statement": "x", "label": 1, "note": 1, "note": 1}',
            "row 1: key 'note' is there more than once",
        ),
        (
            "a.jsonl",
            '{"statement": "x", "label": NaN}',
            "column 'label': found nan (row 1), in 1 row; expected 1 or 0,",
        ),
        (
            "a.jsonl",
            '{"statement": "x", "label": Infinity}',
            "column 'label': found inf (row 1), in 1 row; expected 1 or 0,",
        ),
        (
            "a.jsonl",
            '{"statement": "x", "label": {"value": 1}}',
            "column 'label': found {'value': 1} (row 1), in 1 row; expected 1 or 0,",
        ),
        (
            "a.jsonl",
            '{"statement": NaN, "label": 1}',
            "row 1: column 'statement' is empty, expected a sentence",
        ),
        (
            "a.jsonl",
            '{"statement": "x", "label": 1, "subject": ["y"]}',
            "row 1: column 'subject': found ['y'], expected text",
        ),
        ("a.jsonl", "[" * DEEP, "row 1: JSON that cannot be read (maximum recursion depth"),
        ("a.json", "[" * DEEP, "JSON that cannot be read (maximum recursion depth exceeded"),
        (
            "a.jsonl",
            '{"statement": "x", "label": ' + "1" * 5000 + "}",
            "row 1: JSON that cannot be read (Exceeds the limit (4300 digits)",
        ),
    ],
)
def test_json_that_is_not_read(tmp_path: Path, name: str, content: str, expected: str) -> None:
    assert message(write(tmp_path, name, content)).startswith(expected)


def test_what_no_column_needs_is_left_alone(tmp_path: Path) -> None:
    row = '{"statement": "x", "label": 1, "subject": NaN, "note": {"a": 1, "a": "\\ud83d"}}'
    table = read(write(tmp_path, "a.jsonl", row))
    assert table.select("subject", "label").row(0) == ("x", True)


def test_ten_times_the_rows_take_about_ten_times_as_long(tmp_path: Path) -> None:
    seconds = []
    for n in (2_000, 20_000):
        rows = [f"The city C{i} is here.,{i % 2},C{i % (n // 4)}" for i in range(n)]
        file = write(tmp_path, "a.csv", "\n".join(["statement,label,subject", *rows, *rows]))
        start = time.process_time()
        assert len(read(file)) == n
        seconds.append(time.process_time() - start)
    assert seconds[1] < 40 * seconds[0]  # quadratic would be 100
