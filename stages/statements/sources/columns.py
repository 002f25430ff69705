"""Parquet."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.lib.io.cli import UserError
from stages.statements.sources import header, shown
from stages.statements.sources.row import Row


def rows(file: Path, required: tuple[str, ...]) -> Iterator[Row]:
    """Read a Parquet file.

    Parameters
    ----------
    file : Path
        Of its columns, those that are used are read: others may be of any type.
    required : tuple of str
        Columns that must be there.

    Yields
    ------
    int, dict of str to object
        Number of a row, from 1, and its fields.

    Raises
    ------
    UserError
        If it is no Parquet file, is damaged or encrypted, or a column is missing or there twice.
    """
    # Here, since few users have Parquet and the import takes a while. pyarrow and not polars: of
    # damaged files some make polars panic, and some abort the process.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Its bytes, so that its path is never a pattern; no threads, which sometimes outlive the
        # end of the process and abort it.
        content = pa.BufferReader(file.read_bytes())
        table = pq.ParquetFile(content, pre_buffer=False)
        stored = table.schema_arrow.names
        names = header.checked(str(file), stored, required)
        used = {
            name: column
            for name, column in zip(names, stored, strict=True)
            if name in (*required, *header.OPTIONAL)
        }
        kept_rows: list[dict[str, Any]] = table.read(
            columns=list(used.values()), use_threads=False
        ).to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise UserError(f"{file}: not a Parquet file: {shown.reason(error)}") from None
    for number, fields in enumerate(kept_rows, start=1):
        yield number, {name: fields[column] for name, column in used.items()}
