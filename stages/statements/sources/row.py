"""One row of a user's file: as it is read, and as it is checked."""

from dataclasses import dataclass
from typing import Any

Row = tuple[int, dict[str, Any]]
"""Number of a row, as programs for the file's format count it, and its fields by column."""


@dataclass(frozen=True, slots=True)
class Stated:
    """A checked row.

    Attributes
    ----------
    number : int
        Number of the row.
    statement : str
        Text as in the file, without white space at its ends.
    normal_form : str
        The form that all spellings of the statement share (`stages.lib.facts.identity`).
    label : bool
        Whether the statement is true.
    subject, object, template, topic : str
        In normal form; empty where the file has none, except `subject`, then the statement's.
    """

    number: int
    statement: str
    normal_form: str
    label: bool
    subject: str
    object: str
    template: str
    topic: str
