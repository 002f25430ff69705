"""The stage `statements`: from params.yaml to one table, or to one clear line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stages.lib.io import tables
from stages.lib.io.cli import UserError
from stages.statements import __main__ as statements
from stages.statements.sources import listed
from stages.statements.sources.listed import Source

OUT = Path("data/statements.parquet")
DEFAULTS: dict[str, Any] = {
    "topics": ["capitals", "comparisons"],
    "negated": True,
    "sources": {},
    "contradictions": "refuse",
    "limit": 40,
    "report_share": 0.5,
    "seed": 0,
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("data/raw/sub.csv").mkdir(parents=True)
    Path("data/raw/README.md").write_text("Put files here.\n")
    Path("data/raw/rivers.csv").write_text(
        "statement,label,subject\nThe Nile is a river.,1,Nile\nThe Nile is a lake.,0,Nile\n"
    )
    return tmp_path


def stated(**changes: Any) -> pl.DataFrame:
    Path("params.yaml").write_text(json.dumps({"statements": DEFAULTS | changes}))
    statements.main(OUT)
    return tables.read(OUT, tables.STATEMENTS)


def test_every_split_has_its_rows() -> None:
    table = stated(sources={"rivers": "data/raw/rivers.csv"})
    assert dict(table.group_by("topic").len().iter_rows()) == {
        "capitals": 40,
        "neg_capitals": 40,
        "comparisons": 40,
        "neg_comparisons": 40,
        "rivers": 2,
    }
    assert table["statement_id"].is_sorted()
    assert table["statement_id"].is_unique().all()
    assert set(table["split"]) == {"selection", "report"}


def test_negated_forms_are_left_out_on_demand() -> None:
    assert set(stated(negated=False)["topic"]) == {"capitals", "comparisons"}


def test_a_file_alone_is_enough() -> None:
    table = stated(topics=[], sources={"rivers": "data/raw/rivers.csv"})
    assert table.height == 2
    assert set(table["origin"]) == {"data/raw/rivers.csv, row 2", "data/raw/rivers.csv, row 3"}


def test_a_column_of_topics_makes_splits_beside_the_others() -> None:
    table = stated(
        topics=["capitals"],
        sources={
            "rivers": "data/raw/rivers.csv",
            "by": {"file": "data/raw/rivers.csv", "topic": "subject"},
        },
    )
    assert set(table["topic"]) == {"capitals", "neg_capitals", "rivers", "by_nile"}


def test_contradictions_are_refused_or_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    file = Path("data/raw/rivers.csv")
    file.write_text(file.read_text() + "The Nile  is a lake.,1,Nile\n")
    own: dict[str, Any] = {"topics": [], "sources": {"rivers": str(file)}}
    with pytest.raises(UserError, match="1 statement has opposite labels"):
        stated(**own)
    table = stated(**own, contradictions="drop")
    assert table["statement"].to_list() == ["The Nile is a river."]
    assert "dropped 2 rows of 1 statement that has opposite labels" in capsys.readouterr().out


def test_two_files_that_contradict_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data/raw/a.csv").write_text("statement,label\nThe Nile  is a river.,0\nA is B.,1\n")
    Path("data/raw/b.csv").write_text("statement,label\nA is B.,1\n")
    both = {name: f"data/raw/{file}.csv" for name, file in (("one", "rivers"), ("two", "a"))}
    with pytest.raises(UserError) as raised:
        stated(topics=[], sources=both)
    assert str(raised.value).startswith(
        "params.yaml: statements.sources: opposite labels in two sources: 'The Nile is a river.' "
        "(data/raw/rivers.csv, row 2; data/raw/a.csv, row 2); expected one label"
    )
    assert not OUT.exists()
    table = stated(topics=[], sources=both, contradictions="drop")
    assert set(table["statement"]) == {"The Nile is a lake.", "A is B."}
    assert capsys.readouterr().out == (
        "sources: dropped 2 rows of 1 statement that two sources label differently\n"
    )
    alike = {"two": "data/raw/a.csv", "three": "data/raw/b.csv"}  # the same label is no fault
    assert len(stated(topics=[], sources=alike)) == 3


def claims(name: str, label: int) -> str:
    """Write a file of 30 statements, all with one label."""
    rows = [f"Claim {i} holds.,{label}" for i in range(30)]
    Path(f"data/raw/{name}.csv").write_text("\n".join(["statement,label", *rows]))
    return f"data/raw/{name}.csv"


def test_a_limit_does_not_hide_what_two_files_contradict() -> None:
    own = {"one": claims("one", 1), "two": "data/raw/two.csv"}
    rows = [f"Other {i} holds.,1" for i in range(30)]
    # The one that contradicts the other file is not among the first that the limit takes.
    claim = stated(topics=[], sources={"one": own["one"]})["statement"]
    first = stated(topics=[], sources={"one": own["one"]}, limit=5)["statement"]
    hidden = next(text for text in claim if text not in set(first))
    Path(own["two"]).write_text("\n".join(["statement,label", *rows, f"{hidden},0"]))
    with pytest.raises(UserError, match=f"opposite labels in two sources: '{hidden}'"):
        stated(topics=[], sources=own, limit=5)
    table = stated(topics=[], sources=own, limit=5, contradictions="drop")
    assert table.group_by("topic").len()["len"].to_list() == [5, 5]
    assert table.filter(topic="one")["statement"].to_list() == first.to_list()


def test_a_file_may_repeat_and_may_not_contradict_a_built_in_statement(capsys) -> None:
    built_in = stated(topics=["capitals"])
    (true, *_), (false, *_) = (built_in.filter(label=x)["statement"] for x in (True, False))
    own: dict[str, Any] = {"topics": ["capitals"], "sources": {"mine": "data/raw/mine.csv"}}
    Path("data/raw/mine.csv").write_text(f"statement,label\n{true},1\n  {false} ,0\nA is B.,1\n")
    table = stated(**own)
    assert "left out 2 built-in statements that your files have" in capsys.readouterr().out
    assert table["statement"].is_unique().all()
    assert len(table) == len(built_in) + 1
    assert table.filter(statement=true)["topic"].to_list() == ["mine"]
    Path("data/raw/mine.csv").write_text(f"statement,label\n{true},0\nA is B.,1\n")
    with pytest.raises(UserError, match=r"opposite labels in two sources: .* row 2; built-in\)"):
        stated(**own)
    table = stated(**own, contradictions="drop")
    assert set(table["statement"]) == {"A is B.", *built_in["statement"]} - {true}
    assert len(stated(sources=own["sources"], topics=[])) == 2


@pytest.mark.parametrize("by_topic", [False, True])
def test_one_statement_has_one_subject(by_topic: bool) -> None:
    """With two it might be in both splits, and would count as independent of itself."""
    rows = ["The Nile is in Africa.,1,Nile,a", "The Nile is in Africa.,1,Africa,b"]
    files = {"one": rows} if by_topic else {"one": rows[:1], "two": rows[1:]}
    sources: dict[str, Any] = {}
    for name, lines in files.items():
        text = "\n".join(["statement,label,subject,kind", *lines])
        Path(f"data/raw/{name}.csv").write_text(text)
        sources[name] = {"file": f"data/raw/{name}.csv", "topic": "kind"}
    with pytest.raises(UserError) as raised:
        stated(topics=[], sources=sources)
    assert "found the subjects 'Nile' and 'Africa', expected one" in str(raised.value)
    assert "'The Nile is in Africa.' (data/raw/one.csv, row 2; " in str(raised.value)


def test_files_that_contradict_each_other_wholly_leave_nothing() -> None:
    own = {"one": claims("one", 1), "two": claims("two", 0), "rivers": "data/raw/rivers.csv"}
    with pytest.raises(UserError) as raised:
        stated(topics=[], sources=own, contradictions="drop")
    assert str(raised.value) == (
        "params.yaml: statements.sources: no statements are left in one, two, as other sources "
        "give each of them the opposite label; expected at least one per topic"
    )
    assert not OUT.exists()


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_rows() -> None:
    table, first = stated(), OUT.read_bytes()
    assert stated().equals(table)
    assert OUT.read_bytes() == first
    other = stated(seed=1)
    assert set(other["statement_id"]) != set(table["statement_id"])


def test_splits_do_not_change_each_other() -> None:
    alone = stated(topics=["comparisons"])
    beside = stated(topics=["comparisons", "capitals", "elements"])
    assert beside.join(alone, on="statement_id", how="semi").equals(alone)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"topics": ["capitals", "rivers"]},
            "params.yaml: statements.topics[1]: found 'rivers', expected one of "
            "capitals, cities, comparisons, continents, currencies, elements",
        ),
        (
            {"topics": ["capitals", "capitals"]},
            "params.yaml: statements.topics: found ['capitals', 'capitals'], expected different values",
        ),
        (
            {"topics": []},
            "params.yaml: statements: found no topics and no sources, expected at least one",
        ),
        ({"limit": 0}, "params.yaml: statements.limit: found 0, expected at least 1, or null"),
        (
            {"report_share": 1},
            "params.yaml: statements.report_share: found 1.0, expected above 0, below 1",
        ),
        (
            {"sources": {"neg_cities": "data/raw/rivers.csv"}},
            "params.yaml: statements.sources.neg_cities: a built-in topic has this name, "
            "expected another",
        ),
        (
            {"sources": {"all": "data/raw/rivers.csv"}},
            "params.yaml: statements.sources.all: tables use this name themselves, expected another",
        ),
        ({"sources": {"lakes": "data/raw/lakes.csv"}}, "data/raw/lakes.csv: no such file"),
        (
            {"contradictions": "keep"},
            "params.yaml: statements.contradictions: found 'keep', expected one of refuse, drop",
        ),
        (
            {
                "sources": {
                    "all_of": {"file": "data/raw/rivers.csv", "topic": "subject"},
                    "all_of_nile": "data/raw/rivers.csv",
                }
            },
            "data/raw/rivers.csv: column 'subject': found 'Nile' (row 2), but another topic has "
            "the name all_of_nile, expected another",
        ),
        (
            {"sources": {"lakes": "data/raw/sub.csv"}},
            "data/raw/sub.csv: found a folder, expected a file",
        ),
        (
            {"sources": {"readme": "data/raw/README.md"}},
            "params.yaml: statements.sources.readme: data/raw/README.md: unknown file type '.md', "
            "expected one of .csv, .tsv, .jsonl, .ndjson, .json, .parquet",
        ),
    ],
)
def test_a_mistake_gets_one_clear_line_and_writes_nothing(
    changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(UserError) as raised:
        stated(**changes)
    assert str(raised.value) == expected
    assert sorted(path.name for path in Path("data").iterdir()) == ["raw"]


def test_the_command_says_it_in_one_line(folder: Path) -> None:
    Path("params.yaml").write_text(json.dumps({"statements": DEFAULTS | {"limit": -3}}))
    root = Path(statements.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "stages.statements", "--out", str(OUT)],
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: params.yaml: statements.limit: found -3, expected at least 1, or null\n"
    )
    assert not OUT.exists()


def test_no_model_library_is_loaded() -> None:
    root = Path(statements.__file__).parents[2]
    code = "import stages.statements.__main__, sys; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"My-topic": "data/raw/a.csv"},
            "own.My-topic: 'My-topic' cannot name a topic, expected only a-z, 0-9 and _",
        ),
        ({7: "data/raw/a.csv"}, "own.7: 7 cannot name a topic, expected only a-z, 0-9 and _"),
        (
            {"capitals": "data/raw/a.csv"},
            "own.capitals: a built-in topic has this name, expected another",
        ),
        (
            {"rivers": None},
            "own.rivers: found None, expected the path of a file, or file and topic: "
            "{file: PATH, topic: COLUMN}",
        ),
        (
            {"rivers": "data/a.csv"},
            "own.rivers: data/a.csv is outside data/raw; "
            "put it in data/raw, where DVC sees it change",
        ),
        (
            {"rivers": "data/raw/../a.csv"},
            "own.rivers: data/raw/../a.csv is outside data/raw; "
            "put it in data/raw, where DVC sees it change",
        ),
        (
            {"rivers": "data/raw/out/a.csv"},
            "own.rivers: data/raw/out/a.csv is outside data/raw; "
            "put it in data/raw, where DVC sees it change",
        ),
        (
            {"rivers": "data/raw/out/../a.csv"},
            "own.rivers: data/raw/out/../a.csv is outside data/raw; "
            "put it in data/raw, where DVC sees it change",
        ),
        (
            {"rivers": "data/raw/a\0.csv"},
            "own.rivers: found 'data/raw/a\\x00.csv', expected a path without control characters",
        ),
        (
            {"rivers": {"file": "data/raw/a.csv", "topics": "x"}},
            "own.rivers.topics: unknown key, expected one of file, topic",
        ),
        (
            {"rivers": {"topic": "x"}},
            "own.rivers: found {'topic': 'x'}, expected the path of a file, or file and topic: "
            "{file: PATH, topic: COLUMN}",
        ),
        (
            {"rivers": {"file": "data/raw/a.csv", "topic": None}},
            "own.rivers.topic: found None, expected the name of a column other than "
            "statement and label",
        ),
        (
            {"rivers": {"file": "data/raw/a.csv", "topic": "label"}},
            "own.rivers.topic: found 'label', expected the name of a column other than "
            "statement and label",
        ),
        (
            {"neg": {"file": "data/raw/a.csv", "topic": "x"}},
            "own.neg: topics of a column would be named neg_TOPIC, as negated forms of the topics "
            "TOPIC are; expected another name",
        ),
    ],
)
def test_a_bad_list_of_files_gets_one_clear_line(
    folder: Path, given: dict[object, object], expected: str
) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "data/raw/out").symlink_to(folder / "elsewhere")
    with pytest.raises(UserError) as raised:
        listed.read("own", given)
    assert str(raised.value) == expected


def test_a_link_to_a_file_is_read_as_those_are_that_dvc_makes_to_its_cache() -> None:
    Path("cache").mkdir()
    Path("data/raw/rivers.csv").rename("cache/1234")
    Path("data/raw/rivers.csv").symlink_to(Path.cwd() / "cache/1234")
    assert stated(topics=[], sources={"rivers": "data/raw/rivers.csv"}).height == 2


def test_a_good_list_of_files_is_taken_as_it_is() -> None:
    given = {"rivers_2": "data/raw/sub/a.csv", "lakes": str(Path.cwd() / "data/raw/..b.csv")}
    files = listed.read("own", given)
    assert files == [Source(name, Path(file)) for name, file in given.items()]
