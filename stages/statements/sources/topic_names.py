"""Names of the topics of a file: one per value of its column of topics."""

import re
import unicodedata

from stages.lib.io.cli import UserError
from stages.lib.io.ranges import NAME_LENGTH
from stages.statements.sources import shown
from stages.statements.sources.listed import Source
from stages.statements.sources.row import Stated

MOST = 100
"""Largest number of topics of a file. A column with more values is probably of another kind, such
as subjects, and every table and figure has a place for each topic."""


def topics(source: Source, rows: list[Stated], taken_names: set[str]) -> dict[str, str]:
    """Name the topics of a file.

    Parameters
    ----------
    source : Source
        Its name is the topic's name or, with a column of topics, the prefix of their names.
    rows : list of Stated
        Rows of the file.
    taken_names : set of str
        Names of other topics.

    Returns
    -------
    dict of str to str
        Value of the column -> name of the topic, sorted by name; the value is empty where the
        source has no such column.

    Raises
    ------
    UserError
        If a topic has no letter or digit to name a topic by, two give the same name or one that
        is taken or too long, or there are too many.
    """
    if source.topic is None:
        return {"": source.name}
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(row.topic, row.number)
    where = f"{source.file}: column {shown.value(source.topic)}"
    if len(first) > MOST:
        raise UserError(f"{where}: found {len(first)} topics, expected at most {MOST}")
    topics_by_name: dict[str, str] = {}
    for topic, number in first.items():
        at_row = f"{where}: found {shown.value(topic)} (row {number})"
        slug = _slug(topic)
        if not slug:
            raise UserError(f"{at_row}, expected a topic with letters a-z or digits in it")
        name = f"{source.name}_{slug}"
        if len(name) > NAME_LENGTH:
            raise UserError(
                f"{at_row}, which would name the topic {name}, of {len(name)} characters, expected "
                f"at most {NAME_LENGTH}"
            )
        if name in topics_by_name:
            other_topic = topics_by_name[name]
            raise UserError(
                f"{at_row} and {shown.value(other_topic)} (row {first[other_topic]}), "
                f"which would both name the topic {name}; "
                "expected topics that differ in letters a-z or digits"
            )
        if name in taken_names:
            raise UserError(f"{at_row}, but another topic has the name {name}, expected another")
        topics_by_name[name] = topic
    return {topic: name for name, topic in sorted(topics_by_name.items())}


def _slug(topic: str) -> str:
    """A topic in a-z, 0-9 and _, without accents."""
    plain = unicodedata.normalize("NFKD", topic.casefold()).encode("ascii", "ignore").decode()
    return re.sub("[^a-z0-9]+", "_", plain).strip("_")
