"""Read Parquet files."""

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
        Only the columns that are used are read: others may be of any type.
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
    # Imported here, since few users have Parquet and the import takes a while. pyarrow and not
    # polars: some damaged files make polars panic, and some abort the process.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # The file's bytes, so that its path is never read as a pattern. No threads: they sometimes
        # outlive the end of the process and abort it.
        content = pa.BufferReader(file.read_bytes())
        table = pq.ParquetFile(content, pre_buffer=False)
        stored_names = table.schema_arrow.names
        names = header.checked(str(file), stored_names, required)
        used_columns = {
            name: column
            for name, column in zip(names, stored_names, strict=True)
            if name in (*required, *header.OPTIONAL)
        }
        table_rows: list[dict[str, Any]] = table.read(
            columns=list(used_columns.values()), use_threads=False
        ).to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise UserError(f"{file}: not a Parquet file: {shown.reason(error)}") from None
    for number, fields in enumerate(table_rows, start=1):
        yield number, {name: fields[column] for name, column in used_columns.items()}
