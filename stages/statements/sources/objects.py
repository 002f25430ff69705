"""JSON: one object per line, or in a `.json` file one array of objects."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.lib.facts import identity
from stages.lib.io.cli import UserError
from stages.statements.sources import header, shown, text
from stages.statements.sources.row import Row

LINES = "one object per line"
ARRAY = "one array of objects"


class Object(dict[str, Any]):
    """A JSON object; `repeated_key` is a key that it has more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__((identity.of(key), value) for key, value in pairs)
        self.repeated_key: str | None = None
        if len(self) < len(pairs):
            keys = [identity.of(key) for key, _ in pairs]
            self.repeated_key = next(key for key in keys if keys.count(key) > 1)


def lines(file: Path, required: tuple[str, ...]) -> Iterator[Row]:
    """Read one JSON object per line.

    Parameters
    ----------
    file : Path
        Blank lines are skipped, but counted.
    required : tuple of str
        Keys that every object must have.

    Yields
    ------
    int, dict of str to object
        Number of a line, and its object.

    Raises
    ------
    UserError
        Naming the row that cannot be read.
    """
    return _lines(file, text.read(file), required, LINES)


def lines_or_array(file: Path, required: tuple[str, ...]) -> Iterator[Row]:
    """Read one array of objects, or else one object per line.

    Parameters
    ----------
    file : Path
        An array if its text begins with a bracket.
    required : tuple of str
        Keys that every object must have.

    Yields
    ------
    int, dict of str to object
        Number of an object in the array or of a line, from 1, and the object.

    Raises
    ------
    UserError
        Naming the row, or the line of the array's text, that cannot be read.
    """
    content = text.read(file)
    if not content.lstrip().startswith("["):
        return _lines(file, content, required, f"{LINES}, or {ARRAY}")
    parsed = _parsed(str(file), content, ARRAY, one_line=False)
    return (
        _row(file, number, element, required, ARRAY)
        for number, element in enumerate(parsed, start=1)
    )


def _lines(file: Path, content: str, required: tuple[str, ...], expected: str) -> Iterator[Row]:
    """Rows of a text with one object per line."""
    if "\r" in content:  # JSON strings hold no raw line end, so every kind of line end ends a row
        content = content.replace("\r\n", "\n").replace("\r", "\n")
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            parsed = _parsed(f"{file}: row {number}", line, expected, one_line=True)
            yield _row(file, number, parsed, required, expected)


def _parsed(where: str, content: str, expected: str, one_line: bool) -> Any:
    """Value of a JSON text."""
    try:
        return json.loads(content, object_pairs_hook=Object)
    except json.JSONDecodeError as error:
        line = "" if one_line else f" line {error.lineno}:"
        raise UserError(
            f"{where}:{line} not valid JSON ({error.msg}), expected {expected}"
        ) from None
    except (RecursionError, ValueError) as error:  # too many nested brackets, or digits
        raise UserError(
            f"{where}: JSON that cannot be read ({shown.reason(error)}), expected {expected}"
        ) from None


def _row(file: Path, number: int, entry: Any, required: tuple[str, ...], expected: str) -> Row:
    """One object, checked."""
    where = f"{file}: row {number}"
    if not isinstance(entry, Object):
        raise UserError(f"{where}: found a JSON {type(entry).__name__}, expected {expected}")
    if entry.repeated_key is not None:
        raise UserError(f"{where}: key {shown.value(entry.repeated_key)} is there more than once")
    if any(column not in entry for column in required):
        header.checked(where, list(entry), required)
    return number, entry
