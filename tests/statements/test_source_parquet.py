"""A user's Parquet file: its path is no pattern, its types are those of any program."""

import re
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.lib.io.cli import UserError
from stages.statements.sources import columns
from tests.statements.test_sources import labels, message, read

STAGES = Path(__file__).parents[2] / "stages"
PAIR = {"Water is wet.": True, "Ice is hot.": False}


def parquet(file: Path, columns: dict[str, Any] | pa.Table) -> Path:
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    pq.write_table(table, file)
    return file


@pytest.mark.parametrize("name", ["facts[v2]", "facts*", "f?cts", "{facts,b}", "~", "a=1"])
def test_a_path_is_never_a_pattern(tmp_path: Path, name: str) -> None:
    for other in ("factsv", "facts2", "facts", "b"):
        parquet(tmp_path / f"{other}.parquet", {"statement": ["Wrong file."], "label": [0]})
    folder = tmp_path / "x=1"
    folder.mkdir()
    for place in (tmp_path, folder):
        file = parquet(place / f"{name}.parquet", {"statement": ["Right file."], "label": [1]})
        table = read(file)
        assert labels(table) == {"Right file.": True}


def test_no_stage_gives_polars_a_path_that_could_be_a_pattern() -> None:
    calls = []
    for file in sorted(STAGES.rglob("*.py")):
        for call in re.findall(r"\bpl\.(?:read|scan)_\w+\([^)]*\)", file.read_text("utf-8")):
            calls.append(call)
    assert calls, "the pattern of this test finds tables.read"
    assert all("glob=False" in call for call in calls), calls


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([True, False]), None),
        (pa.array([1, 0], pa.int8()), None),
        (pa.array([1.0, 0.0]), None),
        (pa.array(["Yes", "no "]).dictionary_encode(), None),
        (pa.array([1, 0], pa.decimal128(5, 2)), None),
        (pa.array([0.5, 0.0]), "column 'label': found 0.5 (row 1), in 1 row; expected 1 or 0,"),
        (pa.array([[1], [0]]), "column 'label': found [1] (row 1), [0] (row 2), in 2 rows;"),
        (pa.nulls(2), "column 'label': found None (row 1), in 2 rows;"),
    ],
)
def test_labels_of_parquet(tmp_path: Path, column: pa.Array, expected: str | None) -> None:
    file = parquet(tmp_path / "a.parquet", {"statement": list(PAIR), "label": column})
    if expected is None:
        assert labels(read(file)) == PAIR
    else:
        assert message(file).startswith(expected)


def test_parquet_of_other_types(tmp_path: Path) -> None:
    days = pa.array([20_000, None], pa.date32())
    good = {"statement": list(PAIR), "label": [1, 0]}
    table = read(
        parquet(tmp_path / "a.parquet", good | {"subject": days, "x": [[{"a": b"\xff"}]] * 2})
    )
    assert set(table["subject"]) == {"2024-10-04", "Ice is hot."}
    for column, expected in (
        ([{"x": 1}] * 2, "row 1: column 'statement': found {'x': 1}, expected text"),
        ([b"\xff", b"a"], "row 1: column 'statement': found b'\\xff', expected text"),
        ([3, 4], "row 1: column 'statement': found 3, expected text"),
    ):
        assert message(parquet(tmp_path / "b.parquet", good | {"statement": column})) == expected
    twice = pa.table([["x"], [1], [1], [0]], names=["statement", "label", "n", "n"])
    assert message(parquet(tmp_path / "c.parquet", twice)) == (
        "column 'n' is there more than once, found statement, label, n, n"
    )


def test_a_damaged_parquet_file_is_one_line_or_is_read(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", {"statement": list(PAIR), "label": [1, 0]})
    whole = file.read_bytes()
    damaged = [b"", whole[: len(whole) // 2], whole[:-4] + b"PARE", b"PAR1" + b"\0" * 60 + b"PAR1"]
    damaged += [whole[:at] + b"\xff\xff" + whole[at + 2 :] for at in range(0, len(whole), 7)]
    refused = []
    for content in damaged:
        file.write_bytes(content)
        try:
            read(file)
        except UserError as error:
            refused.append(str(error))
    assert len(refused) > len(damaged) // 2
    assert all(line.startswith(f"{file}: ") and "\n" not in line for line in refused)


def test_polars_reads_what_pyarrow_reads(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pl.DataFrame({"statement": list(PAIR), "label": [1, 0]}).write_parquet(file)
    assert labels(read(file)) == PAIR


def test_a_date_beyond_the_years_that_there_are_is_one_line(tmp_path: Path) -> None:
    dates = pa.array([2**62, 0], pa.timestamp("us"))
    file = parquet(
        tmp_path / "t.parquet", {"statement": ["A.", "B."], "label": [1, 0], "subject": dates}
    )
    with pytest.raises(UserError, match="t.parquet: .*date value out of range"):
        list(columns.rows(file, ("statement", "label")))
