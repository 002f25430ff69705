"""Statements that a file makes more than once: with one label, or with both."""

from pathlib import Path

import polars as pl

from stages.lib.facts import identity
from stages.lib.io.cli import UserError
from stages.statements.sources import shown
from stages.statements.sources.row import Stated

LISTED = 5  # statements that a message lists


def without_contradictions(file: Path, rows: list[Stated], drop: bool) -> list[Stated]:
    """Find statements that the file calls true and false.

    Parameters
    ----------
    file : Path
        For messages.
    rows : list of Stated
        All rows of the file.
    drop : bool
        Whether every row of such a statement is left out, and one line printed, or the file is
        refused.

    Returns
    -------
    list of Stated
        Rows of the statements that have one label.

    Raises
    ------
    UserError
        With the first few of them, their rows and how many there are.
    """
    first: dict[str, dict[bool, Stated]] = {}
    for row in rows:
        first.setdefault(row.same, {}).setdefault(row.label, row)
    both = {same: labels for same, labels in first.items() if len(labels) == 2}
    if not both:
        return rows
    if not drop:
        few = [_pair(labels) for labels in list(both.values())[:LISTED]]
        more = f" and {len(both) - LISTED} more" if len(both) > LISTED else ""
        what = "1 statement has" if len(both) == 1 else f"{len(both)} statements have"
        raise UserError(
            f"{file}: {what} opposite labels: {', '.join(few)}{more}; expected one label per "
            "statement, or statements.contradictions: drop"
        )
    kept = [row for row in rows if row.same not in both]
    what = "1 statement that has" if len(both) == 1 else f"{len(both)} statements that have"
    print(f"{file}: dropped {len(rows) - len(kept)} rows of {what} opposite labels")
    if not kept:
        raise UserError(f"{file}: no statements are left, expected one with one label")
    return kept


def between_files(table: pl.DataFrame, drop: bool) -> pl.DataFrame:
    """Find statements that one file calls true and another one false.

    Parameters
    ----------
    table : DataFrame
        Statements of all files, each of which has one label per statement.
    drop : bool
        As for `without_contradictions`.

    Returns
    -------
    DataFrame
        Rows of the statements that have one label.

    Raises
    ------
    UserError
        With the first few of them, their files and rows, and how many there are; or naming the
        topics that would be left without a statement.
    """
    same = [identity.of(text) for text in table["statement"]]
    first: dict[str, dict[bool, str]] = {}
    for text, label, origin in zip(same, table["label"], table["origin"], strict=True):
        first.setdefault(text, {}).setdefault(label, origin)
    both = {text: labels for text, labels in first.items() if len(labels) == 2}
    if both and not drop:
        few = [f"{shown.value(t)} ({'; '.join(of.values())})" for t, of in both.items()][:LISTED]
        more = f" and {len(both) - LISTED} more" if len(both) > LISTED else ""
        raise UserError(
            f"params.yaml: statements.sources: opposite labels in two files: {', '.join(few)}"
            f"{more}; expected one label per statement, or statements.contradictions: drop"
        )
    kept = table.filter([text not in both for text in same])
    if both:
        what = "1 statement" if len(both) == 1 else f"{len(both)} statements"
        dropped = len(table) - len(kept)
        print(f"sources: dropped {dropped} rows of {what} that two files label differently")
    lost = [
        name for name in table["topic"].unique(maintain_order=True) if name not in kept["topic"]
    ]
    if lost:
        raise UserError(
            f"params.yaml: statements.sources: no statements are left in {', '.join(lost)}, as "
            "other files have all of them with opposite labels; expected one with one label"
        )
    return kept


def once(file: Path, rows: list[Stated]) -> list[Stated]:
    """Keep the first of the rows that make the same statement about the same topic.

    Parameters
    ----------
    file : Path
        For the line that is printed where rows are left out.
    rows : list of Stated
        Without contradictions.

    Returns
    -------
    list of Stated
        In the same order.
    """
    first: dict[tuple[str, str], Stated] = {}
    for row in rows:
        first.setdefault((row.topic, row.same), row)
    kept = list(first.values())
    if len(kept) < len(rows):
        n = len(rows) - len(kept)
        what = "1 row that repeats" if n == 1 else f"{n} rows that repeat"
        print(f"{file}: dropped {what} the statement and label of an earlier row")
    return kept


def _pair(labels: dict[bool, Stated]) -> str:
    """A statement, and the first row of each label."""
    one, other = sorted(labels.values(), key=lambda row: row.number)
    return f"{shown.value(one.statement)} (rows {one.number} and {other.number})"
