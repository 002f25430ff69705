"""The stage `statements`: from params.yaml to one table, or to one clear line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stages import statements
from stages.lib import sources, tables
from stages.lib.cli import UserError

OUT = Path("data/statements.parquet")
DEFAULTS: dict[str, Any] = {
    "splits": ["capitals", "comparisons"],
    "negated": True,
    "sources": {},
    "limit": 40,
    "report_share": 0.5,
    "seed": 0,
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("data/raw").mkdir(parents=True)
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
    assert dict(table.group_by("split").len().iter_rows()) == {
        "capitals": 40,
        "neg_capitals": 40,
        "comparisons": 40,
        "neg_comparisons": 40,
        "rivers": 2,
    }
    assert table["statement_id"].is_sorted()
    assert table["statement_id"].is_unique().all()
    assert set(table["part"]) == {"selection", "report"}


def test_negated_forms_are_left_out_on_demand() -> None:
    assert set(stated(negated=False)["split"]) == {"capitals", "comparisons"}


def test_a_file_alone_is_enough() -> None:
    table = stated(splits=[], sources={"rivers": "data/raw/rivers.csv"})
    assert table.height == 2
    assert set(table["origin"]) == {"data/raw/rivers.csv, row 2", "data/raw/rivers.csv, row 3"}


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_rows() -> None:
    table, first = stated(), OUT.read_bytes()
    assert stated().equals(table)
    assert OUT.read_bytes() == first
    other = stated(seed=1)
    assert set(other["statement_id"]) != set(table["statement_id"])


def test_splits_do_not_change_each_other() -> None:
    alone = stated(splits=["comparisons"])
    beside = stated(splits=["comparisons", "capitals", "elements"])
    assert beside.join(alone, on="statement_id", how="semi").equals(alone)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"splits": ["capitals", "rivers"]},
            "params.yaml: statements.splits[1]: found 'rivers', expected one of "
            "capitals, cities, comparisons, continents, currencies, elements",
        ),
        (
            {"splits": ["capitals", "capitals"]},
            "params.yaml: statements.splits: found ['capitals', 'capitals'], expected different values",
        ),
        (
            {"splits": []},
            "params.yaml: statements: no splits and no sources, expected one",
        ),
        ({"limit": 0}, "params.yaml: statements.limit: found 0, expected at least 1, or null"),
        (
            {"report_share": 1},
            "params.yaml: statements.report_share: found 1.0, expected above 0, below 1",
        ),
        (
            {"sources": {"neg_cities": "data/raw/rivers.csv"}},
            "params.yaml: statements.sources.neg_cities: a built-in split has this name, "
            "expected another",
        ),
        (
            {"sources": {"all": "data/raw/rivers.csv"}},
            "params.yaml: statements.sources.all: a built-in split has this name, expected another",
        ),
        ({"sources": {"lakes": "data/raw/lakes.csv"}}, "data/raw/lakes.csv: no such file"),
        (
            {"sources": {"readme": "data/raw/README.md"}},
            "data/raw/README.md: unknown file type '.md', "
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
    root = Path(statements.__file__).parents[1]
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
    root = Path(statements.__file__).parents[1]
    code = "import stages.statements, sys; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (
            {"My-split": "data/raw/a.csv"},
            "own.My-split: 'My-split' cannot name a split, expected only a-z, 0-9 and _",
        ),
        ({7: "data/raw/a.csv"}, "own.7: 7 cannot name a split, expected only a-z, 0-9 and _"),
        (
            {"capitals": "data/raw/a.csv"},
            "own.capitals: a built-in split has this name, expected another",
        ),
        ({"rivers": None}, "own.rivers: found None, expected the path of a file"),
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
    ],
)
def test_a_bad_list_of_files_gets_one_clear_line(
    listed: dict[object, object], expected: str
) -> None:
    with pytest.raises(UserError) as raised:
        sources.files("own", listed, taken={"capitals"})
    assert str(raised.value) == expected


def test_a_good_list_of_files_is_taken_as_it_is() -> None:
    listed = {"rivers_2": "data/raw/sub/a.csv", "lakes": str(Path.cwd() / "data/raw/b.csv")}
    files = sources.files("own", listed, taken={"capitals"})
    assert files == {name: Path(file) for name, file in listed.items()}
