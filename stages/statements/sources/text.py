"""Read a user's file as text, in the Unicode encoding that its byte order mark names."""

import codecs
from pathlib import Path

from stages.lib.io.cli import UserError
from stages.statements.sources import header

MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
"""Byte order marks, and the encodings that they name; UTF-8 needs none."""


def read(file: Path) -> str:
    """Read a file of text.

    Parameters
    ----------
    file : Path
        Saved as UTF-8, with a byte order mark or without, or as UTF-16 or UTF-32 with one.

    Returns
    -------
    str
        Without the mark, with the line ends that the file has.

    Raises
    ------
    UserError
        Naming the line that is in another encoding, or saying that the file is empty.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "UTF-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = _line(data[: error.start].decode(encoding, errors="ignore"))
        raise UserError(
            f"{file}: line {line}: byte {error.start + 1} is not {encoding}, "
            "expected the file to be saved as UTF-8"
        ) from None
    text = text.lstrip("\ufeff")
    if "\0" in text:
        raise UserError(
            f"{file}: line {_line(text[: text.index(chr(0))])}: found a NUL character, expected "
            "the file to be saved as UTF-8, or as UTF-16 with a byte order mark"
        )
    if not text.strip():
        raise UserError(f"{file}: file is empty, expected columns {' and '.join(header.REQUIRED)}")
    return text


def _line(before: str) -> int:
    """Number of the line that follows some text."""
    return before.count("\n") + before.count("\r") - before.count("\r\n") + 1
