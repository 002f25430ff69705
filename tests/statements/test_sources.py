"""A user's own file: every form that is read, and one clear line for every one that is not."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stages.lib.facts.draw import Draw
from stages.lib.io.cli import UserError
from stages.statements.sources import files, listed
from stages.statements.sources.listed import Source

DRAW = Draw(seed=0, report_share=0.5)


LABELS = "1 or 0, 1.0 or 0.0, true or false, t or f, yes or no, y or n"


def read(
    file: Path, limit: int | None = None, drop: bool = False, topic: str | None = None
) -> pl.DataFrame:
    return files.first(files.read(Source("own", file, topic), DRAW, drop), limit)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def labels(table: pl.DataFrame) -> dict[str, bool]:
    return dict(zip(table["statement"], table["label"], strict=True))


def message(file: Path, **options: Any) -> str:
    with pytest.raises(UserError) as raised:
        read(file, **options)
    text = str(raised.value)
    assert "\n" not in text
    assert text.startswith(f"{file}: ")
    return text.removeprefix(f"{file}: ")


EXPECTED = {
    "Water is wet.": True,
    "Ice, when melted, is a gas.": False,
    'A "zloty" is złoty.': True,
}


def test_csv(tmp_path: Path) -> None:
    text = (
        "statement,label\n"
        "Water is wet.,1\n"
        '"Ice, when melted, is a gas.",0\n'
        '"A ""zloty"" is złoty.",1\n'
    )
    table = read(write(tmp_path, "a.csv", text))
    assert labels(table) == EXPECTED
    row = table.filter(statement="Water is wet.").row(0, named=True)
    assert row["subject"] == "Water is wet."
    assert (row["topic"], row["object"], row["template"]) == ("own", "", "")
    assert row["origin"] == f"{tmp_path.as_posix()}/a.csv, row 2"


def test_csv_of_a_spreadsheet(tmp_path: Path) -> None:
    text = "\ufefflabel,note,statement\r\nTRUE,x,Water is wet.\r\n\r\nFALSE,,Ice is hot.\r\n"
    table = read(write(tmp_path, "A.CSV", text))
    assert labels(table) == {"Water is wet.": True, "Ice is hot.": False}
    assert set(table["origin"].str.extract(r"(row \d+)")) == {"row 2", "row 4"}


def test_tsv(tmp_path: Path) -> None:
    text = (
        "statement\tlabel\tsubject\tobject\ttemplate\n"
        "Ice, melted, is water.\t1.0\tice\twater\t{subject}, melted, is {object}.\n"
        "Steam is a rock.\t0.0\t\t\t\n"
    )
    table = read(write(tmp_path, "a.tsv", text))
    rows = {row["subject"]: row for row in table.iter_rows(named=True)}
    assert set(rows) == {"ice", "Steam is a rock."}
    assert rows["ice"]["object"] == "water"
    assert rows["ice"]["template"] == "{subject}, melted, is {object}."


@pytest.mark.parametrize("suffix", ["jsonl", "ndjson", "json"])
def test_json_lines(tmp_path: Path, suffix: str) -> None:
    values = [True, 0.0, "True"]
    lines = [
        json.dumps({"statement": text, "label": value, "subject": None, "other": [1]})
        for text, value in zip(EXPECTED, values, strict=True)
    ]
    table = read(write(tmp_path, f"a.{suffix}", "\n".join([lines[0], "", *lines[1:]]) + "\n"))
    assert labels(table) == EXPECTED
    assert set(table["origin"].str.extract(r"(row \d+)")) == {"row 1", "row 3", "row 4"}


@pytest.mark.parametrize(
    "column", [[True, False], [1, 0], [1.0, 0.0], ["True", "FALSE"], ["1.0", " 0 "]]
)
def test_parquet(tmp_path: Path, column: list[object]) -> None:
    file = tmp_path / "a.parquet"
    pl.DataFrame({"statement": ["Water is wet.", "Ice is hot."], "label": column}).write_parquet(
        file
    )
    table = read(file)
    assert labels(table) == {"Water is wet.": True, "Ice is hot.": False}
    assert set(table["origin"].str.extract(r"(row \d+)")) == {"row 1", "row 2"}


def test_the_same_row_twice_is_one(tmp_path: Path) -> None:
    text = "statement,label\nWater is wet.,1\nIce is hot.,0\nWater is wet. ,true\n"
    table = read(write(tmp_path, "a.csv", text))
    assert labels(table) == {"Water is wet.": True, "Ice is hot.": False}
    assert table.filter(pl.col("label"))["origin"].item().endswith("row 2")


def own(folder: Path, n: int, true: int) -> Path:
    lines = [f"Statement {i} is so.,{int(i < true)}" for i in range(n)]
    return write(folder, "a.csv", "\n".join(["statement,label", *lines]))


def test_a_limit_balances_labels_within_parts(tmp_path: Path) -> None:
    table = read(own(tmp_path, n=300, true=100), limit=60)
    assert table.height == 60
    counts = table.group_by("split", "label").len()
    assert all(n >= 12 for n in counts["len"])
    for _, split in table.group_by("split"):
        assert abs(split["label"].sum() * 2 - split.height) <= 1


def test_a_limit_takes_templates_in_turns(tmp_path: Path) -> None:
    lines = [f"{i} is so.,{i % 2},{'rare' if i < 40 else 'common'}" for i in range(400)]
    file = write(tmp_path, "a.csv", "\n".join(["statement,label,template", *lines]))
    rare = (read(file, 40)["template"] == "rare").sum()
    assert abs(rare - 20) <= 4  # one for each label of each split


def test_a_limit_keeps_the_front_of_one_order(tmp_path: Path) -> None:
    file = own(tmp_path, n=300, true=150)
    assert read(file).height == 300
    assert read(file, 20).equals(read(file, 60).head(20))
    other = files.first(files.read(Source("own", file), Draw(1, 0.5)), 20)
    assert set(other["statement"]) != set(read(file, 20)["statement"])


def test_a_subject_of_a_file_is_in_the_part_of_the_built_in_subject(tmp_path: Path) -> None:
    lines = [f"France has {i} lakes.,{i % 2},France" for i in range(20)]
    table = read(write(tmp_path, "a.csv", "\n".join(["statement,label,subject", *lines])))
    assert table["split"].unique().to_list() == [DRAW.split("France")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "statement,truth\nWater is wet.,1\n",
            "row 1: column 'label' is missing, found statement, truth",
        ),
        (
            "statement,label,label\nWater is wet.,1,1\n",
            "row 1: column 'label' is there more than once, found statement, label, label",
        ),
        (
            "statement,label\nWater is wet.,1\nIce is hot.,maybe\n",
            f"column 'label': found 'maybe' (row 3), in 1 row; expected {LABELS}",
        ),
        (
            "statement,label\nWater is wet.,\n",
            f"column 'label': found '' (row 2), in 1 row; expected {LABELS}",
        ),
        (
            "statement,label\nWater is wet.,1\n,1\n",
            "row 3: column 'statement' is empty, expected a sentence",
        ),
        (
            'statement,label\n"\u00a0 \n",1\n',
            "row 2: column 'statement' is empty, expected a sentence",
        ),
        (
            "statement,label\nWater is wet.,1\nIce is hot.,0\nWater is wet.,0\n",
            "1 statement has opposite labels: 'Water is wet.' (rows 2 and 4); "
            "expected one label per statement, or statements.contradictions: drop",
        ),
        (
            "statement,label\nIce, when melted, is water.,1\n",
            "row 2: found 4 fields, expected 2 as in row 1; "
            "a text that holds a separator needs double quotes around it",
        ),
        (
            "statement,label\nWater is wet.\n",
            "row 2: found 1 fields, expected 2 as in row 1; "
            "a text that holds a separator needs double quotes around it",
        ),
        (
            'statement,label\nWater is wet.,1\n"Ice is hot.,0\n',
            "row 3: unexpected end of data, expected quotes in pairs, around whole fields",
        ),
        ("", "file is empty, expected columns statement and label"),
        ("\ufeff\n\n", "file is empty, expected columns statement and label"),
        ("statement,label\n", "no statements, expected at least one row"),
        (
            "statement,label\nWater is wet.,1\nLa glace est gelée.,1\n".encode("latin-1"),
            "line 3: byte 49 is not UTF-8, expected the file to be saved as UTF-8",
        ),
    ],
)
def test_a_bad_csv_gets_one_clear_line(tmp_path: Path, content: str | bytes, expected: str) -> None:
    assert message(write(tmp_path, "a.csv", content)) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            '{"statement": "Water is wet.", "label": 1}\n{"label": 1}\n',
            "row 2: column 'statement' is missing, found label",
        ),
        ("{}\n", "row 1: column 'statement' is missing, found no columns"),
        (
            '\n{"statement": 5, "label": 1}\n',
            "row 2: column 'statement': found 5, expected text",
        ),
        (
            '{"statement": null, "label": 1}\n',
            "row 1: column 'statement' is empty, expected a sentence",
        ),
        (
            '{"statement": "Water is wet.", "label": null}\n',
            f"column 'label': found None (row 1), in 1 row; expected {LABELS}",
        ),
        (
            '{"statement": "Water is wet.", "label": 2}\n',
            f"column 'label': found 2 (row 1), in 1 row; expected {LABELS}",
        ),
        (
            '{"statement": "Water is wet."\n',
            "row 1: not valid JSON (Expecting ',' delimiter), expected one object per line",
        ),
        (
            '[{"statement": "Water is wet.", "label": 1}]\n',
            "row 1: found a JSON list, expected one object per line",
        ),
        ("\n", "file is empty, expected columns statement and label"),
    ],
)
def test_bad_json_lines_get_one_clear_line(tmp_path: Path, content: str, expected: str) -> None:
    assert message(write(tmp_path, "a.jsonl", content)) == expected


def test_a_bad_parquet_file_gets_one_clear_line(tmp_path: Path) -> None:
    file = write(tmp_path, "a.parquet", "statement,label\n")
    assert message(file).startswith("not a Parquet file: ")
    pl.DataFrame({"statement": ["Water is wet."]}).write_parquet(file)
    assert message(file) == "column 'label' is missing, found statement"
    pl.DataFrame({"statement": ["Water is wet.", None], "label": [1, 0]}).write_parquet(file)
    assert message(file) == "row 2: column 'statement' is empty, expected a sentence"
    pl.DataFrame({"statement": ["Water is wet."], "label": [float("nan")]}).write_parquet(file)
    assert message(file).startswith("column 'label': found nan (row 1), in 1 row; expected ")
    pl.DataFrame({"statement": [], "label": []}).write_parquet(file)
    assert message(file) == "no statements, expected at least one row"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert message(tmp_path / "a.csv") == "no such file"


def test_every_ending_that_a_list_may_name_has_a_reader() -> None:
    assert tuple(files.READERS) == listed.ENDINGS
