"""One row of a user's file: as it is read, and as it is checked."""

from dataclasses import dataclass
from typing import Any

Row = tuple[int, dict[str, Any]]
"""Number of a row as its reader's own program counts it, and its fields."""


@dataclass(frozen=True, slots=True)
class Stated:
    """A checked row.

    Attributes
    ----------
    number : int
        Of the row.
    statement : str
        As it stands in the file, but for white space at its ends.
    same : str
        The form that all spellings of the statement share (`stages.lib.facts.identity`).
    label : bool
        Whether the statement is true.
    subject, object, template, topic : str
        In the same form; empty where the file has none.
    """

    number: int
    statement: str
    same: str
    label: bool
    subject: str
    object: str
    template: str
    topic: str
