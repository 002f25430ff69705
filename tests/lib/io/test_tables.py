"""Tables: same rows, same bytes; what is wrong is named."""

import json

import numpy as np
import polars as pl
import pytest

from stages.lib.io import tables
from stages.lib.io.cli import UserError

ROWS = pl.DataFrame(
    {
        "statement_id": ["b", "a"],
        "p_true": [0.5, 0.1],
        "p_false": [0.25, 0.3],
        "answer_mass": [0.75, 0.4],
    },
    schema=tables.READOUTS,
)


def test_bytes_depend_on_the_rows_alone(tmp_path):
    for name, rows in (("x", ROWS), ("y", ROWS.reverse().select(sorted(ROWS.columns)))):
        tables.write(tmp_path / name, rows, tables.READOUTS, ["statement_id"])
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
    assert tables.read(tmp_path / "x", tables.READOUTS).equals(ROWS.sort("statement_id"))
    other = ROWS.with_columns(p_true=pl.Series([0.5, 0.2], dtype=pl.Float32))
    tables.write(tmp_path / "z", other, tables.READOUTS, ["statement_id"])
    assert (tmp_path / "x").read_bytes() != (tmp_path / "z").read_bytes()


def test_what_is_wrong_is_named(tmp_path):
    file = tmp_path / "t.parquet"
    with pytest.raises(UserError, match="no such file; run `dvc repro`"):
        tables.read(file, tables.READOUTS)
    ROWS.drop("p_true").write_parquet(file)
    with pytest.raises(UserError, match=r"t.parquet: column 'p_true' is missing"):
        tables.read(file, tables.READOUTS)
    ROWS.with_columns(pl.col("p_true").cast(pl.Float64)).write_parquet(file)
    with pytest.raises(UserError, match="column 'p_true' is Float64, expected Float32"):
        tables.read(file, tables.READOUTS)
    ROWS.with_columns(p_true=pl.Series([0.5, None], dtype=pl.Float32)).write_parquet(file)
    with pytest.raises(UserError, match="row 1: column 'p_true' is empty"):
        tables.read(file, tables.READOUTS)


def test_a_damaged_table_is_one_line(tmp_path):
    file = tmp_path / "t.parquet"
    tables.write(file, ROWS, tables.READOUTS, ["statement_id"])
    whole = file.read_bytes()
    for content in (b"", b"a,b\n", whole[: len(whole) // 2], whole[:-4] + b"PARE"):
        file.write_bytes(content)
        with pytest.raises(UserError) as raised:
            tables.read(file, tables.READOUTS)
        line = str(raised.value)
        assert line.startswith(f"{file}: cut or changed since it was written (")
        assert line.endswith(
            "); run the stage that writes it again, with `dvc repro --force --single-item STAGE`"
        )
        assert "\n" not in line


def test_a_panic_of_polars_is_one_line_and_a_mistake_in_a_program_is_not(tmp_path, monkeypatch):
    file = tmp_path / "t.parquet"
    file.write_bytes(b"x")

    def failing(error):
        def read_parquet(*_, **__):
            raise error

        return read_parquet

    monkeypatch.setattr(pl, "read_parquet", failing(pl.exceptions.PanicException("called\nx")))
    with pytest.raises(UserError, match=r"changed since it was written \(called x\)"):
        tables.read(file, tables.READOUTS)
    monkeypatch.setattr(pl, "read_parquet", failing(TypeError("argument")))
    with pytest.raises(TypeError):
        tables.read(file, tables.READOUTS)


def test_a_path_is_never_a_pattern(tmp_path):
    other = ROWS.with_columns(statement_id=pl.Series(["c", "d"]))
    other.write_parquet(tmp_path / "tv.parquet")
    tables.write(tmp_path / "t[v2].parquet", ROWS, tables.READOUTS, ["statement_id"])
    result = tables.read(tmp_path / "t[v2].parquet", tables.READOUTS)
    assert result["statement_id"].to_list() == ["a", "b"]


def test_damaged_json_is_one_line(tmp_path):
    file = tmp_path / "m.json"
    for content in (b"", b'{"a": 1', b"\xff\xfe", b"[" * 200_000):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"m.json: cut or changed .*\(.*run the stage"):
            tables.read_json(file)


def test_two_rows_of_one_key_are_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(ValueError, match="two rows have the same statement_id"):
        tables.write(tmp_path / "t", pl.concat([ROWS, ROWS]), tables.READOUTS, ["statement_id"])
    assert list(tmp_path.iterdir()) == []


def test_json_is_sorted_rounded_and_has_no_nan(tmp_path):
    file = tmp_path / "m.json"
    tables.write_json(
        file, {"b": 1 / 3, "a": {"n": 1234567, "x": float("nan"), "y": np.float32(0.1)}}
    )
    assert file.read_text() == (
        '{\n "a": {\n  "n": 1234567,\n  "x": null,\n  "y": 0.1\n },\n "b": 0.333333\n}\n'
    )


def test_a_plot_table_is_one_line_a_row(tmp_path):
    file = tmp_path / "p.json"
    tables.write_rows(file, [{"x": 1, "y": None}, {"x": 2, "y": 0.12345678}])
    assert file.read_text().splitlines() == [
        "[",
        '{"x": 1, "y": null},',
        '{"x": 2, "y": 0.123457}',
        "]",
    ]
    tables.write_rows(file, [])
    assert json.loads(file.read_text()) == []


def test_a_value_that_cannot_be_written_leaves_the_old_file(tmp_path):
    file = tmp_path / "m.json"
    tables.write_json(file, {"a": 1})
    with pytest.raises((TypeError, ValueError)):
        tables.write_json(file, {"a": object()})
    with pytest.raises(ValueError, match="not JSON compliant"):
        tables.write_json(file, {"a": float("inf")})
    assert json.loads(file.read_text()) == {"a": 1}
    assert [f.name for f in tmp_path.iterdir()] == ["m.json"]


def test_a_file_that_is_cut_is_named_in_one_line(tmp_path):
    tables.write_json(tmp_path / "m.json", {"a": {"b": 1}})
    tables.write(tmp_path / "t.parquet", ROWS, tables.READOUTS, ["statement_id"])
    for name, read in (
        ("m.json", tables.read_json),
        ("t.parquet", lambda file: tables.read(file, tables.READOUTS)),
    ):
        file, whole = tmp_path / name, (tmp_path / name).read_bytes()
        assert len(read(file)) > 0
        for bad in (whole[:-8], whole[: len(whole) // 2], b"", bytes(len(whole))):
            file.write_bytes(bad)
            with pytest.raises(UserError, match=f"{name}: cut or changed since") as error:
                read(file)
            assert "\n" not in str(error.value)


def test_no_token_ends_the_script_that_dvc_puts_rows_into(tmp_path):
    tokens = ["</script>", "</SCRIPT ", "<!--", "<script", "<|im_end|>", "a < b", "<s>"]
    tables.write_rows(tmp_path / "p.json", [{"token": token} for token in tokens])
    shown = [row["token"] for row in json.loads((tmp_path / "p.json").read_text())]
    assert shown == ["<\\/script>", "<\\/SCRIPT ", "<\\!--", "<\\script", *tokens[4:]]
