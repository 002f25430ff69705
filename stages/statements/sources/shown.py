"""Format pieces of a user's file for error messages, so that a message stays one short line."""

from typing import Any

LONGEST = 80
MOST = 12


def value(field: Any) -> str:
    """Return a field's `repr`, cut where it is long."""
    if isinstance(field, str) and len(field) > LONGEST:
        return f"{field[:LONGEST]!r}…"
    text = repr(field)
    return text if len(text) <= 2 * LONGEST else f"{text[:LONGEST]}…"


def columns(names: list[str]) -> str:
    """Join the first names of columns; long or unprintable names are quoted."""
    if not names:
        return "no columns"
    quoted = [n if n.isprintable() and len(n) <= LONGEST else value(n) for n in names[:MOST]]
    return ", ".join(quoted) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")


def reason(error: BaseException) -> str:
    """Return another library's error message in one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 2 * LONGEST else f"{text[: 2 * LONGEST]}…"
