"""Check the fields of rows: statements, labels and texts."""

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
"""Words that are labels, in any case. "correct" is not one: it often rates an answer."""
NUMBER = re.compile(r"[01](\.0*)?")
EXPECTED = "1 or 0, 1.0 or 0.0, true or false, t or f, yes or no, y or n"
LISTED = 5  # values of a column that a message lists

ODD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters except tab and line ends, and halves of characters (lone surrogates)."""


def checked(file: Path, rows: Iterable[Row], topic: str | None) -> list[Stated]:
    """Check all rows of a file.

    Parameters
    ----------
    file : Path
        For messages.
    rows : iterable of (int, dict)
        Number and fields of each row.
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
    stated_rows: list[Stated] = []
    unknown: dict[str, list[int]] = {}
    for number, fields in rows:
        label = _label(fields["label"])
        if label is None:
            unknown.setdefault(shown.value(fields["label"]), []).append(number)
        stated_rows.append(_stated(f"{file}: row {number}", number, fields, bool(label), topic))
    if unknown:
        examples = [f"{value} (row {rows[0]})" for value, rows in list(unknown.items())[:LISTED]]
        more_text = f" and {len(unknown) - LISTED} more" if len(unknown) > LISTED else ""
        n = sum(map(len, unknown.values()))
        raise UserError(
            f"{file}: column 'label': found {', '.join(examples)}{more_text}, "
            f"in {n} row{'s' * (n > 1)}; expected {EXPECTED}"
        )
    return stated_rows


def _stated(
    where: str, number: int, fields: dict[str, Any], label: bool, topic: str | None
) -> Stated:
    """One row, checked."""
    statement = fields["statement"]
    if not isinstance(statement, str):
        if statement is None or statement != statement:  # NaN, where there is no text
            raise UserError(f"{where}: column 'statement' is empty, expected a sentence")
        raise UserError(
            f"{where}: column 'statement': found {shown.value(statement)}, expected text"
        )
    _require_characters(where, "statement", statement)
    normal_form = identity.of(statement)
    if not normal_form:
        raise UserError(f"{where}: column 'statement' is empty, expected a sentence")
    topic_name = "" if topic is None else _text(where, topic, fields[topic])
    if topic is not None and not topic_name:
        raise UserError(f"{where}: column {topic!r} is empty, expected the name of a topic")
    subject, object_, template = (
        _text(where, column, fields.get(column)) for column in ("subject", "object", "template")
    )
    return Stated(
        number,
        statement.strip(),
        normal_form,
        label,
        subject or normal_form,
        object_,
        template,
        topic_name,
    )


def _label(value: Any) -> bool | None:
    """Truth value of a label; None for an unknown label."""
    if isinstance(value, str):
        word = identity.of(value).casefold()
        return word.startswith("1") if NUMBER.fullmatch(word) else LABELS.get(word)
    if isinstance(value, (bool, int, float, Decimal)) and value in (0, 1):
        return bool(value)
    return None


def _text(where: str, column: str, value: Any) -> str:
    """A field that may be missing, as text."""
    if value is None or value == "" or value != value:  # NaN: a missing text in pandas
        return ""
    if isinstance(value, (dict, list, tuple, bytes)):
        raise UserError(f"{where}: column {column!r}: found {shown.value(value)}, expected text")
    text = str(value)
    _require_characters(where, column, text)
    return identity.of(text)


def _require_characters(where: str, column: str, text: str) -> None:
    """Refuse text with control characters or lone surrogates."""
    odd = ODD.search(text)
    if odd:
        code = ord(odd[0])
        what = "half a character, a lone surrogate" if code >= 0xD800 else "a control character"
        raise UserError(f"{where}: column {column!r}: found U+{code:04X} ({what}), expected text")
