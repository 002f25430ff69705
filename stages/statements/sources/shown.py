"""How a piece of a user's file is shown, so that a message stays one line of some length."""

from typing import Any

LONGEST = 80
MOST = 12


def value(found: Any) -> str:
    """A field as Python writes it, cut where it is long."""
    if isinstance(found, str) and len(found) > LONGEST:
        return f"{found[:LONGEST]!r}…"
    text = repr(found)
    return text if len(text) <= 2 * LONGEST else f"{text[:LONGEST]}…"


def columns(names: list[str]) -> str:
    """Names of columns; those with characters that a terminal would not show are quoted."""
    if not names:
        return "no columns"
    few = [n if n.isprintable() and len(n) <= LONGEST else value(n) for n in names[:MOST]]
    return ", ".join(few) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")


def reason(error: BaseException) -> str:
    """What another library said, in one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 2 * LONGEST else f"{text[: 2 * LONGEST]}…"
