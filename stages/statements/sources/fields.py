"""The fields of one row: what is a statement, a label, and a text."""

import re
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from stages.lib.facts import identity
from stages.lib.io.cli import UserError
from stages.statements.sources import shown
from stages.statements.sources.row import Row, Stated

LABELS: dict[str, bool] = {
    **dict.fromkeys(("true", "t", "yes", "y"), True),
    **dict.fromkeys(("false", "f", "no", "n"), False),
}
"""Words that are labels, in any case. "correct" is none: it is often said of an answer."""
NUMBER = re.compile(r"[01](\.0*)?")
EXPECTED = "1 or 0, 1.0 or 0.0, true or false, t or f, yes or no, y or n"
LISTED = 5  # values of a column that a message lists

ODD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters but for tab and line ends, and halves of characters (lone surrogates)."""


def checked(file: Path, rows: Iterable[Row], topic: str | None) -> list[Stated]:
    """Check all rows of a file.

    Parameters
    ----------
    file : Path
        For messages.
    rows : iterable of (int, dict)
        Numbers and fields.
    topic : str or None
        The column of topics.

    Returns
    -------
    list of Stated
        One per row.

    Raises
    ------
    UserError
        Naming the first row with a field that is no text or is empty, or all unknown labels.
    """
    stated: list[Stated] = []
    unknown: dict[str, list[int]] = {}
    for number, fields in rows:
        label = _label(fields["label"])
        if label is None:
            unknown.setdefault(shown.value(fields["label"]), []).append(number)
        stated.append(_stated(f"{file}: row {number}", number, fields, bool(label), topic))
    if unknown:
        few = [f"{value} (row {rows[0]})" for value, rows in list(unknown.items())[:LISTED]]
        more = f" and {len(unknown) - LISTED} more" if len(unknown) > LISTED else ""
        n = sum(map(len, unknown.values()))
        raise UserError(
            f"{file}: column 'label': found {', '.join(few)}{more}, in {n} row{'s' * (n > 1)}; "
            f"expected {EXPECTED}"
        )
    return stated


def _stated(
    where: str, number: int, fields: dict[str, Any], label: bool, topic: str | None
) -> Stated:
    """One row with a label."""
    statement = fields["statement"]
    if not isinstance(statement, str):
        if statement is None or statement != statement:  # NaN, where there is no text
            raise UserError(f"{where}: column 'statement' is empty, expected a sentence")
        raise UserError(
            f"{where}: column 'statement': found {shown.value(statement)}, expected text"
        )
    _require_characters(where, "statement", statement)
    same = identity.of(statement)
    if not same:
        raise UserError(f"{where}: column 'statement' is empty, expected a sentence")
    named = "" if topic is None else _text(where, topic, fields[topic])
    if topic is not None and not named:
        raise UserError(f"{where}: column {topic!r} is empty, expected the name of a topic")
    subject, object_, template = (
        _text(where, column, fields.get(column)) for column in ("subject", "object", "template")
    )
    return Stated(number, statement.strip(), same, label, subject or same, object_, template, named)


def _label(value: Any) -> bool | None:
    """What a label says; None where that is unknown."""
    if isinstance(value, str):
        word = identity.of(value).casefold()
        return word.startswith("1") if NUMBER.fullmatch(word) else LABELS.get(word)
    if isinstance(value, (bool, int, float, Decimal)) and value in (0, 1):
        return bool(value)
    return None


def _text(where: str, column: str, value: Any) -> str:
    """A field that may be missing, as text."""
    if value is None or value == "" or value != value:  # NaN: pandas' word for no text
        return ""
    if isinstance(value, (dict, list, tuple, bytes)):
        raise UserError(f"{where}: column {column!r}: found {shown.value(value)}, expected text")
    text = str(value)
    _require_characters(where, column, text)
    return identity.of(text)


def _require_characters(where: str, column: str, text: str) -> None:
    """Refuse what no tokenizer can read, or no reader can see."""
    odd = ODD.search(text)
    if odd:
        code = ord(odd[0])
        what = "half a character, a lone surrogate" if code >= 0xD800 else "a control character"
        raise UserError(f"{where}: column {column!r}: found U+{code:04X} ({what}), expected text")
