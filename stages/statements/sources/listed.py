"""The list of a user's files in params.yaml, checked without opening one of them."""

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.lib.facts import NEGATED, TOPICS, identity
from stages.lib.io.cli import UserError
from stages.lib.io.ranges import NAME_LENGTH, RESERVED_NAMES
from stages.statements.sources import header

FOLDER = Path("data/raw")
"""Where the files are, so that DVC sees them change."""
ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
BUILT_IN = frozenset((*TOPICS, *(NEGATED + name for name in TOPICS)))
"""Names of built-in topics, which no file's topic may have, even where they are not used."""


@dataclass(frozen=True)
class Source:
    """A user's file.

    Attributes
    ----------
    name : str
        Name of its topic, or prefix of the names of its topics.
    file : Path
        Path in `FOLDER`.
    topic : str or None
        The column whose values are topics, one topic each; None where the file is one topic.
    """

    name: str
    file: Path
    topic: str | None = None


def read(where: str, sources: dict[Any, Any]) -> list[Source]:
    """Check the list of a user's files.

    Parameters
    ----------
    where : str
        Where the list stands, for messages.
    sources : dict
        The file of each topic: a path, or a mapping with `file` and `topic`.

    Returns
    -------
    list of Source
        In the order of the list.

    Raises
    ------
    UserError
        If a name is invalid or taken, or a file has an unknown type or is outside `FOLDER`, where
        DVC would not see it change.
    """
    return [_source(f"{where}.{name}", name, value) for name, value in sources.items()]


def _source(at: str, name: Any, value: Any) -> Source:
    """One file of the list."""
    _require_name(at, name)
    entry = value if isinstance(value, dict) else {"file": value}
    for key in entry:
        if key not in ("file", "topic"):
            raise UserError(f"{at}.{key}: unknown key, expected one of file, topic")
    file = entry.get("file")
    if not isinstance(file, str) or not file:
        raise UserError(
            f"{at}: found {value!r}, expected the path of a file, or file and topic: "
            "{file: PATH, topic: COLUMN}"
        )
    _require_in_folder(at, file)
    if Path(file).suffix.lower() not in ENDINGS and not os.path.isdir(file):
        raise UserError(
            f"{at}: {file}: unknown file type {Path(file).suffix!r}, expected one of "
            f"{', '.join(ENDINGS)}"
        )
    if "topic" not in entry:
        return Source(name, Path(file))
    topic = identity.of(entry["topic"]) if isinstance(entry["topic"], str) else ""
    if not topic or topic in header.REQUIRED:
        raise UserError(
            f"{at}.topic: found {entry['topic']!r}, expected the name of a column other than "
            f"{' and '.join(header.REQUIRED)}"
        )
    if f"{name}_" == NEGATED:
        raise UserError(
            f"{at}: topics of a column would be named {NEGATED}TOPIC, as negated forms of the "
            "topics TOPIC are; expected another name"
        )
    return Source(name, Path(file), topic)


def _require_name(at: str, name: Any) -> None:
    """Refuse what cannot be the name of a user's topic."""
    if not isinstance(name, str) or not re.fullmatch("[a-z0-9_]+", name):
        raise UserError(f"{at}: {name!r} cannot name a topic, expected only a-z, 0-9 and _")
    if len(name) > NAME_LENGTH:
        raise UserError(f"{at}: a name of {len(name)} characters, expected at most {NAME_LENGTH}")
    if name in RESERVED_NAMES:
        raise UserError(f"{at}: tables use this name themselves, expected another")
    if name in BUILT_IN:
        raise UserError(f"{at}: a built-in topic has this name, expected another")


def _require_in_folder(at: str, file: str) -> None:
    """Refuse a file that is not in `FOLDER`, by its path or by a link to a folder on its way.

    DVC hashes the content of a linked file, since it links files to its own cache, but does not
    look into linked folders.
    """
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in file):
        raise UserError(f"{at}: found {file!r}, expected a path without control characters")
    lexical = os.path.relpath(file, FOLDER)
    folder = file if lexical == os.curdir else os.path.dirname(file)
    real = os.path.relpath(os.path.realpath(folder), os.path.realpath(FOLDER))
    if os.pardir in (lexical.split(os.sep)[0], real.split(os.sep)[0]):
        raise UserError(
            f"{at}: {file} is outside {FOLDER}; put it in {FOLDER}, where DVC sees it change"
        )
