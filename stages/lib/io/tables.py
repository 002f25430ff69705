"""Reads and writes tables: Parquet with a checked schema, and JSON with stable bytes."""

import io
import json
import math
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, cast

import polars as pl

from stages.lib.io import seal
from stages.lib.io.atomic import atomic
from stages.lib.io.cli import UserError
from stages.lib.io.narrow import is_dict

Schema = dict[str, Any]
Row = dict[str, float | str | None]  # of a plot table; int and bool count as float
END_OF_SCRIPT = re.compile("<(?=/|!--|script)", re.IGNORECASE)

STATEMENTS: Schema = {
    "statement_id": pl.String,
    "topic": pl.String,
    "statement": pl.String,
    "label": pl.Boolean,
    "subject": pl.String,
    "object": pl.String,
    "template": pl.String,
    "split": pl.String,
    "origin": pl.String,
}
PROMPTS: Schema = {
    "statement_id": pl.String,
    "persona": pl.String,
    "text": pl.String,
    "token_ids": pl.List(pl.UInt32),
    "prefix_ids": pl.List(pl.UInt32),
    "n_tokens": pl.UInt32,
}
READOUTS: Schema = {
    "statement_id": pl.String,
    "p_true": pl.Float32,
    "p_false": pl.Float32,
    "answer_mass": pl.Float32,
}
FIRST_TOKENS: Schema = READOUTS | {"first_token": pl.String}  # where answer mass is low
KNOWN: Schema = {
    "statement_id": pl.String,
    "known": pl.Boolean,
}

PAIRS: Schema = {
    "statement_id": pl.String,
    "topic": pl.String,
    "statement": pl.String,
    "label": pl.Boolean,
    "subject": pl.String,
    "split": pl.String,
    "origin": pl.String,
    "known": pl.Boolean,
    "source_text": pl.String,
    "base_text": pl.String,
    "source_ids": pl.List(pl.UInt32),
    "base_ids": pl.List(pl.UInt32),
    "source_prefix_ids": pl.List(pl.UInt32),
    "base_prefix_ids": pl.List(pl.UInt32),
}
PATCHED: Schema = {
    "statement_id": pl.String,
    "source": pl.String,
    "base": pl.String,
    "patch_id": pl.String,
    "p_true": pl.Float32,
    "p_false": pl.Float32,
    "answer_mass": pl.Float32,
}


def write(file: Path, table: pl.DataFrame, schema: Schema, key: list[str]) -> None:
    """Write a Parquet table whose bytes depend on its rows alone.

    Parameters
    ----------
    file : Path
        Parquet file to make, with its folder. It appears complete or not at all.
    table : DataFrame
        Rows in any order, with exactly the columns of `schema`.
    schema : dict of str to polars type
        Columns in the order in which they are written.
    key : list of str
        Columns that identify a row; rows are sorted by them.

    Raises
    ------
    ValueError
        If the columns differ from the schema or two rows have the same key.
    """
    if set(table.columns) != set(schema):
        raise ValueError(f"{file}: columns {sorted(table.columns)}, expected {sorted(schema)}")
    if table.select(key).is_duplicated().any():
        raise ValueError(f"{file}: two rows have the same {', '.join(key)}")
    table = table.select([pl.col(name).cast(type_) for name, type_ in schema.items()]).sort(key)
    content = io.BytesIO()
    table.write_parquet(content, compression="zstd", metadata={"seal": seal.OPEN})
    with atomic(file) as partial:
        partial.write_bytes(seal.seal(content.getvalue()))


def read(file: Path, schema: Schema, nullable: Collection[str] = ()) -> pl.DataFrame:
    """Read a Parquet table, and check its columns, their types, and that no value is null.

    Parameters
    ----------
    file : Path
        Parquet file to read.
    schema : dict
        Columns and their types.
    nullable : collection of str
        Columns that may hold nulls.

    Raises
    ------
    UserError
        If the file cannot be read or a column is wrong; names the file, column and row.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file; run `dvc repro` to make it")
    try:
        content = file.read_bytes()
        if fault := seal.fault(content):
            raise broken(file, fault)
        table = pl.read_parquet(content, glob=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise broken(file, error) from None
    for name, type_ in schema.items():
        if name not in table.columns:
            raise UserError(f"{file}: column {name!r} is missing, found {', '.join(table.columns)}")
        if table.schema[name] != type_:
            raise UserError(f"{file}: column {name!r} is {table.schema[name]}, expected {type_}")
        if name not in nullable and table[name].null_count():
            row = table[name].is_null().arg_max()
            raise UserError(f"{file}: row {row}: column {name!r} is empty")
    return table.select(list(schema))


def write_json(file: Path, value: Any) -> None:
    """Write metrics or a plot table: sorted keys, 6 significant digits, null for NaN."""
    text = json.dumps(rounded(value), sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    with atomic(file) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def write_rows(file: Path, rows: list[Row]) -> None:
    r"""Write a plot table: one row per point and one line per row, so that diffs can be read.

    `dvc plots` copies rows unescaped into a script of its page: a token such as ``</script>``,
    which would end that script, gets a backslash, ``<\/script>``.
    """
    lines = [
        END_OF_SCRIPT.sub(r"<\\\\", json.dumps(rounded(row), ensure_ascii=False, allow_nan=False))
        for row in rows
    ]
    with atomic(file) as partial:
        partial.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


def read_json(file: Path) -> Any:
    """Read a file that `write_json` or `write_rows` wrote."""
    if not file.is_file():
        raise UserError(f"{file}: no such file; run `dvc repro` to make it")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:  # not JSON, or not UTF-8
        raise broken(file, error) from None


def broken(file: Path, why: object) -> UserError:
    """Make the error for a file of ours that was changed after it was written."""
    reason = " ".join(str(why).split())[:160]
    return UserError(
        f"{file}: cut or changed since it was written ({reason}); run the stage that writes it "
        "again, with `dvc repro --force --single-item STAGE`"
    )


def rounded(value: Any) -> Any:
    """Round every float in a nested value to 6 significant digits, and turn NaN into None."""
    if is_dict(value):
        return {str(key): rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in cast("Sequence[Any]", value)]
    if isinstance(value, bool) or value is None or isinstance(value, (int, str)):
        return value
    number = float(value)  # also NumPy scalars
    if math.isnan(number):
        return None
    return float(f"{number:.6g}")
