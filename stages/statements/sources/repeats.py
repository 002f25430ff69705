"""Statements that occur more than once: with the same label, or with both labels."""

from pathlib import Path

import polars as pl

from stages.lib.facts import identity
from stages.lib.io.cli import UserError
from stages.statements.sources import shown
from stages.statements.sources.row import Stated

LISTED = 5  # statements that a message lists


def without_contradictions(file: Path, rows: list[Stated], drop: bool) -> list[Stated]:
    """Drop or refuse statements that the file labels both true and false.

    Parameters
    ----------
    file : Path
        For messages.
    rows : list of Stated
        All rows of the file.
    drop : bool
        Whether every row of such a statement is dropped, and one line printed; otherwise the file
        is refused.

    Returns
    -------
    list of Stated
        Rows of the statements that have one label.

    Raises
    ------
    UserError
        Naming the first few of these statements, their rows, and how many there are; or if no
        statement is left.
    """
    first: dict[str, dict[bool, Stated]] = {}
    for row in rows:
        first.setdefault(row.normal_form, {}).setdefault(row.label, row)
    contradictions = {
        normal_form: labels for normal_form, labels in first.items() if len(labels) == 2
    }
    if not contradictions:
        return rows
    if not drop:
        examples = [_pair(labels) for labels in list(contradictions.values())[:LISTED]]
        more_text = (
            f" and {len(contradictions) - LISTED} more" if len(contradictions) > LISTED else ""
        )
        count_text = (
            "1 statement has"
            if len(contradictions) == 1
            else f"{len(contradictions)} statements have"
        )
        raise UserError(
            f"{file}: {count_text} opposite labels: {', '.join(examples)}{more_text}; expected "
            "one label per statement, or statements.contradictions: drop"
        )
    kept_rows = [row for row in rows if row.normal_form not in contradictions]
    count_text = (
        "1 statement that has"
        if len(contradictions) == 1
        else f"{len(contradictions)} statements that have"
    )
    print(f"{file}: dropped {len(rows) - len(kept_rows)} rows of {count_text} opposite labels")
    if not kept_rows:
        raise UserError(
            f"{file}: no statements are left, expected at least one without opposite labels"
        )
    return kept_rows


def between_sources(table: pl.DataFrame, drop: bool) -> pl.DataFrame:
    """Drop or refuse statements that one source labels true and another one false.

    Parameters
    ----------
    table : DataFrame
        Statements of several files, and perhaps built-in ones; each source has one label per
        statement.
    drop : bool
        As in `without_contradictions`.

    Returns
    -------
    DataFrame
        Rows of the statements that have one label.

    Raises
    ------
    UserError
        Naming the first few of these statements, their files and rows, and how many there are; or
        naming the topics that would be left without a statement.
    """
    normal_form = [identity.of(text) for text in table["statement"]]
    first: dict[str, dict[bool, str]] = {}
    for text, label, origin in zip(normal_form, table["label"], table["origin"], strict=True):
        first.setdefault(text, {}).setdefault(label, origin)
    contradictions = {text: labels for text, labels in first.items() if len(labels) == 2}
    if contradictions and not drop:
        examples = [
            f"{shown.value(t)} ({'; '.join(of.values())})" for t, of in contradictions.items()
        ][:LISTED]
        more_text = (
            f" and {len(contradictions) - LISTED} more" if len(contradictions) > LISTED else ""
        )
        raise UserError(
            "params.yaml: statements.sources: opposite labels in two sources: "
            f"{', '.join(examples)}{more_text}; expected one label per statement, or "
            "statements.contradictions: drop"
        )
    kept_rows = table.filter([text not in contradictions for text in normal_form])
    if contradictions:
        count_text = (
            "1 statement" if len(contradictions) == 1 else f"{len(contradictions)} statements"
        )
        dropped = len(table) - len(kept_rows)
        print(f"sources: dropped {dropped} rows of {count_text} that two sources label differently")
    lost_topics = [
        name
        for name in table["topic"].unique(maintain_order=True)
        if name not in kept_rows["topic"]
    ]
    if lost_topics:
        raise UserError(
            "params.yaml: statements.sources: no statements are left in "
            f"{', '.join(lost_topics)}, as other sources give each of them the opposite label; "
            "expected at least one per topic"
        )
    return kept_rows


def require_one_subject(table: pl.DataFrame) -> None:
    """Refuse a statement with two subjects, which might put it into both splits.

    Parameters
    ----------
    table : DataFrame
        Statements of all files.

    Raises
    ------
    UserError
        Naming the first such statement, both subjects and both rows.
    """
    first: dict[str, tuple[str, str]] = {}
    for text, subject, origin in table.select("statement", "subject", "origin").iter_rows():
        other, where = first.setdefault(identity.of(text), (subject, origin))
        if other != subject:
            raise UserError(
                f"params.yaml: statements.sources: {shown.value(text)} ({where}; {origin}): found "
                f"the subjects {shown.value(other)} and {shown.value(subject)}, expected one, as "
                "the subject decides the split"
            )


def without_repeats(built_in: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Leave out built-in statements that a file has too, and print how many.

    Parameters
    ----------
    built_in, own : DataFrame
        Built-in statements, and statements of all files.

    Returns
    -------
    DataFrame
        Rows of `built_in`. A statement that is in both would be in two topics, perhaps with two
        subjects and in both splits.
    """
    in_files = {identity.of(text) for text in own["statement"]}
    kept_rows = built_in.filter([identity.of(t) not in in_files for t in built_in["statement"]])
    if n := len(built_in) - len(kept_rows):
        count_text = "1 built-in statement" if n == 1 else f"{n} built-in statements"
        print(
            f"sources: left out {count_text} that your files have, too; the others of these topics "
            "need not be balanced"
        )
    return kept_rows


def once(file: Path, rows: list[Stated]) -> list[Stated]:
    """Keep the first row of each statement in each topic.

    Parameters
    ----------
    file : Path
        For the line that is printed where rows are left out.
    rows : list of Stated
        Rows without contradictions.

    Returns
    -------
    list of Stated
        In the same order.
    """
    first: dict[tuple[str, str], Stated] = {}
    for row in rows:
        first.setdefault((row.topic, row.normal_form), row)
    kept_rows = list(first.values())
    if len(kept_rows) < len(rows):
        n = len(rows) - len(kept_rows)
        count_text = "1 row that repeats" if n == 1 else f"{n} rows that repeat"
        print(f"{file}: dropped {count_text} the statement and label of an earlier row")
    return kept_rows


def _pair(labels: dict[bool, Stated]) -> str:
    """A statement, and the first row of each label."""
    first_row, second_row = sorted(labels.values(), key=lambda row: row.number)
    return f"{shown.value(first_row.statement)} (rows {first_row.number} and {second_row.number})"
