"""Tables as text: one row per line, separated by commas, semicolons or tabs."""

import csv
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from stages.lib.facts import identity
from stages.lib.io.cli import UserError
from stages.statements.sources import header, text
from stages.statements.sources.row import Row

SEPARATORS = (",", ";", "\t")
NAMED = re.compile(r'"?sep=([^\r\n])"?[ ]*(?:\r\n|\r|\n)', re.IGNORECASE)
"""First line in which spreadsheets name the separator; they neither show nor count it."""
LONGEST_FIELD = min(sys.maxsize, 2**31 - 1)  # the largest C long, 32 bits on some machines


def rows(file: Path, required: tuple[str, ...]) -> Iterator[Row]:
    """Read a table as text; rows are counted as a spreadsheet counts them, the header first.

    Parameters
    ----------
    file : Path
        Its first row that is not empty holds the names of columns.
    required : tuple of str
        Columns that must be there; the separator is chosen so that they are.

    Yields
    ------
    int, dict of str to str
        Number of a row, and its fields. Rows without any text are left out.

    Raises
    ------
    UserError
        Naming the row that cannot be read.
    """
    csv.field_size_limit(LONGEST_FIELD)  # longer than the default of 131,072, csv raises
    table = text.read(file)
    named_separator = NAMED.match(table)
    if named_separator:
        table = table[named_separator.end() :]
    separator = _separator(file, table, required, named_separator and named_separator[1])
    names: list[str] = []
    header_row = number = 0
    try:
        for number, fields in enumerate(_reader(table, separator), start=1):
            if not any(field and not field.isspace() for field in fields):
                continue
            if not names:
                names, header_row = (
                    header.checked(f"{file}: row {number}", fields, required),
                    number,
                )
            elif len(fields) != len(names):
                raise UserError(
                    f"{file}: row {number}: found {len(fields)} fields, expected {len(names)} "
                    f"as in row {header_row}; a text that holds a separator needs double quotes "
                    "around it"
                )
            else:
                yield number, dict(zip(names, fields, strict=True))
    except csv.Error as error:
        raise UserError(
            f"{file}: row {number + 1}: {error}, expected quotes in pairs, around whole fields"
        ) from None


def _separator(
    file: Path, table: str, required: tuple[str, ...], named_separator: str | None
) -> str:
    """The one character that gives a header with the required columns, or the best guess."""
    if named_separator is not None:
        if named_separator.isalnum() or named_separator in ' "':
            raise UserError(
                f"{file}: row 1: found 'sep={named_separator}', expected a separator such as ;"
            )
        return named_separator
    headers = {separator: _header(table, separator) for separator in SEPARATORS}
    candidates = [s for s, names in headers.items() if all(column in names for column in required)]
    if len(candidates) > 1:
        separators = " and ".join(repr(separator) for separator in candidates)
        raise UserError(
            f"{file}: row 1: both {separators} separate the columns {' and '.join(required)}, "
            "expected one separator"
        )
    # Without a fit the header is refused; the message lists the likeliest separator's names.
    return candidates[0] if candidates else max(SEPARATORS, key=lambda s: len(headers[s]))


def _header(table: str, separator: str) -> list[str]:
    """Names of columns, read with one separator; none where quotes are not in pairs."""
    try:
        rows = (row for row in _reader(table, separator) if any(map(str.strip, row)))
        return [identity.of(name) for name in next(rows, [])]
    except csv.Error:
        return []


def _reader(table: str, separator: str) -> Iterator[list[str]]:
    """Fields of every row; a quote after a blank opens a quoted field, as spreadsheets have it."""
    lines = io.StringIO(table, newline="")  # line ends inside quotes stay as they are
    return csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=True)
