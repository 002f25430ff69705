"""Metrics files; a node's `metrics.py` declares their content as frozen dataclasses."""

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from stages.lib.io import tables

Metrics = TypeVar("Metrics")


def write(file: Path, metrics: object) -> None:
    """Write a dataclass as JSON; the keys are its field names or their aliases (`pydantic.Field`).

    Parameters
    ----------
    file : Path
        JSON file to write.
    metrics : dataclass
        Holds numbers, texts, None, and lists, dicts and dataclasses of these.
    """
    tables.write_json(file, TypeAdapter(type(metrics)).dump_python(metrics, by_alias=True))


def read(file: Path, schema: type[Metrics]) -> Metrics:
    """Read a metrics file that `write` wrote.

    Parameters
    ----------
    file : Path
        Metrics of a stage.
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
