"""Rows of a user's file: labels, repeats, contradictions, twins of Unicode, topics."""

import unicodedata
from pathlib import Path

import polars as pl
import pytest

from stages.lib.io.cli import UserError
from stages.statements.sources import files, topic_names
from stages.statements.sources.listed import Source
from tests.statements.test_sources import DRAW, LABELS, labels, message, read, write


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("True", "False"),
        ("TRUE ", " FALSE"),
        ("yes", "No"),
        ("Y", "n"),
        ("T", "f"),
        ("1", "0"),
        ("1.0", "0."),
        ("1.00", "0.00"),
        ("true\u00a0", "\u200bfalse"),
    ],
)
def test_spellings_of_labels(tmp_path: Path, true: str, false: str) -> None:
    text = f"statement,label\nWater is wet.,{true}\nIce is hot.,{false}\n"
    assert labels(read(write(tmp_path, "a.csv", text))) == {
        "Water is wet.": True,
        "Ice is hot.": False,
    }


@pytest.mark.parametrize("label", ["2", "-1", "10", "0.5", "correct", "tr", "1,0", "１", "None"])
def test_other_labels_are_refused(tmp_path: Path, label: str) -> None:
    text = f'statement,label\nWater is wet.,1\nIce is hot.,"{label}"\n'
    assert message(write(tmp_path, "a.csv", text)) == (
        f"column 'label': found '{label}' (row 3), in 1 row; expected {LABELS}"
    )


def test_unknown_labels_are_listed_at_once(tmp_path: Path) -> None:
    rows = [f"Row {i} is here.,{'abcdefgh'[i % 8] * 2}" for i in range(80)]
    rows.insert(0, "Water is wet.,true")
    result = message(write(tmp_path, "a.csv", "\n".join(["statement,label", *rows])))
    assert result == (
        "column 'label': found 'aa' (row 3), 'bb' (row 4), 'cc' (row 5), 'dd' (row 6), "
        f"'ee' (row 7) and 3 more, in 80 rows; expected {LABELS}"
    )


CONTRADICTIONS = "\n".join(
    [
        "statement,label",
        "Water is wet.,1",
        *(f"Claim {i} holds.,{i % 2}" for i in range(7)),
        *(f"Claim {i}  holds. ,{1 - i % 2}" for i in range(7)),
        "Claim 3 holds.,1",
        "Ice is hot.,0",
    ]
)


def test_all_contradictions_are_named_at_once(tmp_path: Path) -> None:
    assert message(write(tmp_path, "a.csv", CONTRADICTIONS)) == (
        "7 statements have opposite labels: 'Claim 0 holds.' (rows 3 and 10), "
        "'Claim 1 holds.' (rows 4 and 11), 'Claim 2 holds.' (rows 5 and 12), "
        "'Claim 3 holds.' (rows 6 and 13), 'Claim 4 holds.' (rows 7 and 14) and 2 more; "
        "expected one label per statement, or statements.contradictions: drop"
    )


def test_contradictions_are_dropped_on_demand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, "a.csv", CONTRADICTIONS)
    assert labels(read(file, drop=True)) == {"Water is wet.": True, "Ice is hot.": False}
    assert capsys.readouterr().out == (
        f"{file}: dropped 15 rows of 7 statements that have opposite labels\n"
    )
    alone = write(tmp_path, "b.csv", "statement,label\nIce is hot.,0\nIce is hot.,1\n")
    assert message(alone, drop=True) == (
        "no statements are left, expected at least one without opposite labels"
    )


def test_repeats_are_kept_once_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "statement,label\nWater is wet.,1\nWater  is wet.,1\nIce is hot.,0\nWater is wet. ,yes\n"
    file = write(tmp_path, "a.csv", text)
    table = read(file)
    assert labels(table) == {"Water is wet.": True, "Ice is hot.": False}
    assert set(table["origin"].str.extract(r"(row \d+)")) == {"row 2", "row 4"}
    assert capsys.readouterr().out == (
        f"{file}: dropped 2 rows that repeat the statement and label of an earlier row\n"
    )
    read(write(tmp_path, "b.csv", "statement,label\nWater is wet.,1\n"))
    assert capsys.readouterr().out == ""


def test_twins_of_unicode_are_one_subject_in_one_part(tmp_path: Path) -> None:
    rows = [
        f"{subject} claim {i} holds.,{i % 2},{subject},{subject},{subject}"
        for i in range(20)
        for subject in ("Bogotá", nfd("Bogotá"), "Bogotá\u200b")
    ]
    text = "\n".join(["statement,label,subject,object,template", *rows])
    table = read(write(tmp_path, "a.csv", text))
    assert table.height == 20
    for column in ("subject", "object", "template"):
        assert table[column].unique().to_list() == ["Bogotá"]
    assert table["split"].unique().to_list() == [DRAW.split("Bogotá")]


def test_twins_of_unicode_contradict_each_other_and_keep_their_text(tmp_path: Path) -> None:
    one, other = "Bogotá is wet.", nfd("Bogotá is wet.")
    file = write(tmp_path, "a.csv", f"statement,label\n{one},1\n{other},0\n")
    assert message(file).startswith("1 statement has opposite labels: 'Bogotá is wet.' (rows 2")
    table = read(write(tmp_path, "b.csv", f"statement,label\n{other},1\n"))
    assert table["statement"].item() == other
    assert table["subject"].item() == one
    same = read(write(tmp_path, "c.csv", f"statement,label\n{one},1\n"))
    assert table["statement_id"].item() == same["statement_id"].item()


TOPICS = (
    "statement,label,Field of study\n"
    "Water is wet.,1,Physics\n"
    "Ice is hot.,0,Physics \n"
    "Łódź is in Spain.,0,Géographie / villes\n"
    "Water is wet.,1,Chemistry\n"
    "Water is wet.,1,Chemistry\n"
)


def test_a_column_of_topics_makes_splits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, "a.csv", TOPICS)
    table = read(file, topic="Field of study")
    assert dict(table.group_by("topic").len().iter_rows()) == {
        "own_physics": 2,
        "own_geographie_villes": 1,
        "own_chemistry": 1,
    }
    assert table["statement_id"].is_unique().all()
    assert "dropped 1 row that repeats" in capsys.readouterr().out
    assert read(file, limit=1, topic="Field of study").height == 3
    assert read(file)["topic"].unique().to_list() == ["own"]


def test_numbers_and_numbers_as_text_are_topics(tmp_path: Path) -> None:
    lines = [
        '{"statement": "a b", "label": 1, "t": 7}',
        '{"statement": "c d", "label": 0, "t": "x"}',
    ]
    table = read(write(tmp_path, "a.jsonl", "\n".join(lines)), topic="t")
    assert set(table["topic"]) == {"own_7", "own_x"}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("a,1,\n", "row 2: column 'topic' is empty, expected the name of a topic"),
        ("a,1,x\nb,1,\u200b \n", "row 3: column 'topic' is empty, expected the name of a topic"),
        (
            "a,1,日本\n",
            "column 'topic': found '日本' (row 2), expected a topic with letters a-z or digits in it",
        ),
        (
            "a,1,A/B\nb,1,x\nc,0,a b\n",
            "column 'topic': found 'a b' (row 4) and 'A/B' (row 2), which would both name the "
            "topic own_a_b; expected topics that differ in letters a-z or digits",
        ),
        (
            "a,1,x\na,0,y\n",
            "1 statement has opposite labels: 'a' (rows 2 and 3); expected one label per "
            "statement, or statements.contradictions: drop",
        ),
    ],
)
def test_a_bad_topic_gets_one_line(tmp_path: Path, rows: str, expected: str) -> None:
    file = write(tmp_path, "a.csv", f"statement,label,topic\n{rows}")
    assert message(file, topic="topic") == expected


def test_too_many_topics_are_a_column_of_another_kind(tmp_path: Path) -> None:
    rows = [f"Row {i} is here.,1,{i}" for i in range(topic_names.MOST + 1)]
    text = "\n".join(["statement,label,topic", *rows])
    assert message(write(tmp_path, "a.csv", text), topic="topic") == (
        "column 'topic': found 101 topics, expected at most 100"
    )
    few = read(write(tmp_path, "a.csv", "\n".join(text.splitlines()[:-1])), topic="topic")
    assert few["topic"].n_unique() == 100


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_missing_column_of_topics_is_named(tmp_path: Path, suffix: str) -> None:
    table = pl.DataFrame({"statement": ["a"], "label": [1]})
    file = tmp_path / f"a.{suffix}"
    write_table = {
        "csv": table.write_csv,
        "jsonl": table.write_ndjson,
        "parquet": table.write_parquet,
    }[suffix]
    write_table(file)
    assert message(file, topic="field").endswith(
        "column 'field' is missing, found statement, label"
    )


def test_a_split_of_a_topic_takes_no_name_of_another_split(tmp_path: Path) -> None:
    file = write(tmp_path, "a.csv", "statement,label,topic\na,1,x\n")
    with pytest.raises(UserError) as raised:
        files.read(Source("own", file, "topic"), DRAW, taken_names={"own_x"})
    assert str(raised.value) == (
        f"{file}: column 'topic': found 'x' (row 2), but another topic has the name own_x, "
        "expected another"
    )


def test_a_split_of_a_topic_has_no_longer_name_than_others(tmp_path: Path) -> None:
    for letters in (60, 61):  # own_ and so many
        file = write(tmp_path, "a.csv", f"statement,label,topic\na,1,{'x' * letters}\n")
        if letters == 60:
            assert read(file, topic="topic")["topic"].item() == f"own_{'x' * 60}"
            continue
        result = message(file, topic="topic")
        assert result.endswith(f"the topic own_{'x' * 61}, of 65 characters, expected at most 64")
