"""JSON files whose content a frozen dataclass declares."""

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from stages.lib.io import tables

Record = TypeVar("Record")


def write(file: Path, record: object) -> None:
    """Write a dataclass as JSON; the keys are its field names or their aliases (`pydantic.Field`).

    Parameters
    ----------
    file : Path
        JSON file to write.
    record : dataclass
        Holds numbers, texts, None, and lists, dicts and dataclasses of these.
    """
    tables.write_json(file, TypeAdapter(type(record)).dump_python(record, by_alias=True))


def read(file: Path, schema: type[Record]) -> Record:
    """Read a file that `write` wrote.

    Parameters
    ----------
    file : Path
        JSON file of a stage.
    schema : type
        The dataclass that was written.

    Returns
    -------
    schema

    Raises
    ------
    UserError
        If the file is missing, or does not match the dataclass.
    """
    try:
        return TypeAdapter(schema).validate_python(tables.read_json(file))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(key) for key in first["loc"])
        raise tables.broken(file, f"{where}: {first['msg']}") from error
