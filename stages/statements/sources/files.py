"""Read a user's own file of labelled statements: CSV, TSV, JSON Lines, JSON or Parquet."""

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from stages.lib.facts.draw import Draw
from stages.lib.io.cli import UserError
from stages.statements.sources import (
    columns,
    fields,
    header,
    objects,
    repeats,
    separated,
    topic_names,
)
from stages.statements.sources.listed import Source
from stages.statements.sources.row import Row, Stated

READERS: dict[str, Callable[[Path, tuple[str, ...]], Iterator[Row]]] = {
    ".csv": separated.rows,
    ".tsv": separated.rows,
    ".jsonl": objects.lines,
    ".ndjson": objects.lines,
    ".json": objects.lines_or_array,
    ".parquet": columns.rows,
}
"""Reader of each of `listed.ENDINGS`."""


def read(
    source: Source, draw: Draw, drop: bool = False, taken_names: set[str] | None = None
) -> pl.DataFrame:
    """Read and check a file of statements.

    Parameters
    ----------
    source : Source
        A file with columns `statement` and `label` (see module `fields`), and optionally `subject`,
        `object`, `template` and a column of topics. A statement without a subject is its own
        subject. Other columns are ignored. A row that repeats an earlier row's statement and topic
        is dropped.
    draw : Draw
        Decides splits and order.
    drop : bool
        Whether all rows of statements with opposite labels are dropped; otherwise the file is
        refused.
    taken_names : set of str, optional
        Names of other topics.

    Returns
    -------
    DataFrame
        With the columns of `stages.lib.io.tables.STATEMENTS`. `origin` names the file and the row.
        Topic by topic, each in an order in which splits, labels and templates take turns.

    Raises
    ------
    UserError
        Naming the file, and the row and column that cannot be read.
    """
    file = source.file
    stated_rows = fields.checked(file, _rows(source), source.topic)
    if not stated_rows:
        raise UserError(f"{file}: no statements, expected at least one row")
    stated_rows = repeats.without_contradictions(file, stated_rows, drop)
    names = topic_names.topics(source, stated_rows, taken_names or set())
    rows: dict[str, list[Stated]] = {name: [] for name in names.values()}
    for row in repeats.once(file, stated_rows):
        rows[names[row.topic]].append(row)
    return pl.concat([_table(name, file, rows[name], draw) for name in rows])


def first(table: pl.DataFrame, limit: int | None) -> pl.DataFrame:
    """Take at most `limit` rows of each topic, from the front of its order; None takes all."""
    groups = table.group_by("topic", maintain_order=True)
    return groups.head(len(table) if limit is None else limit).select(table.columns)


def _rows(source: Source) -> Iterator[Row]:
    """Rows of a file, by its reader."""
    file, suffix = source.file, source.file.suffix.lower()
    if file.is_dir():
        raise UserError(f"{file}: found a folder, expected a file")
    if not file.is_file():
        raise UserError(f"{file}: no such file")
    topic = () if source.topic is None else (source.topic,)
    return READERS[suffix](file, (*header.REQUIRED, *topic))


def _table(topic: str, file: Path, rows: list[Stated], draw: Draw) -> pl.DataFrame:
    """Rows of a topic: splits take turns, within splits labels, and within labels templates."""
    table = draw.table(
        [
            {
                "topic": topic,
                "statement": row.statement,
                "label": row.label,
                "subject": row.subject,
                "object": row.object,
                "template": row.template,
                "origin": f"{file.as_posix()}, row {row.number}",
            }
            for row in rows
        ]
    )
    place = pl.Series("place", [draw.place(row.normal_form) for row in rows])
    turn = pl.int_range(pl.len())
    share = turn / pl.len()  # splits take turns in proportion to their size
    return (
        table.with_columns(place)
        .sort("place")
        .with_columns(turn=turn.over("split", "label", "template"))
        .sort("turn", "place")
        .with_columns(turn=turn.over("split", "label"))
        .sort("turn", "label")
        .with_columns(share=share.over("split"))
        .sort("share", "split", descending=[False, True])
        .drop("place", "turn", "share")
    )
