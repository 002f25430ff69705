"""The border to params.yaml: one section becomes one frozen dataclass, or one clear error."""

import dataclasses
import re
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml

from stages.lib.cli import UserError

Schema = TypeVar("Schema")


def section(name: str, schema: type[Schema], file: Path = Path("params.yaml")) -> Schema:
    """Read one section of params.yaml.

    Parameters
    ----------
    name : str
        Key of the section; ``outer.inner`` for one inside another.
    schema : type
        Frozen dataclass whose fields are exactly the section's keys. Field types may be `str`,
        `int`, `float`, `bool`, ``X | None`` and ``tuple[X, ...]`` of these, or `dict`.
    file : Path
        The file to read.

    Returns
    -------
    schema
        An instance filled from the file; lists become tuples.

    Raises
    ------
    UserError
        If the section or a key of it is missing, unknown or of another type.
    """
    where = f"{file}: {name}"
    values: Any = _mapping(file)
    for key in name.split("."):
        values = values.get(key) if isinstance(values, dict) else None
    if not isinstance(values, dict):
        raise UserError(f"{where}: section is missing, expected {_keys(schema)}")
    expected = {field.name for field in dataclasses.fields(schema)}  # pyright: ignore[reportArgumentType]
    for key in values:
        if key not in expected:
            raise UserError(f"{where}.{key}: unknown key, expected one of {_keys(schema)}")
    for key in sorted(expected - set(values)):
        raise UserError(f"{where}.{key}: key is missing")
    types = typing.get_type_hints(schema)
    return schema(**{k: _typed(f"{where}.{k}", v, types[k]) for k, v in values.items()})


def at_least(key: str, value: float | None, least: float) -> None:
    """Raise `UserError` where a number of params.yaml is below `least`; None passes."""
    if value is not None and value < least:
        raise UserError(f"params.yaml: {key}: found {value}, expected at least {least}")


def personas(file: Path = Path("params.yaml")) -> tuple[str, ...]:
    """Names of the declared personas, in order.

    Raises
    ------
    UserError
        If a name is no slug (DVC joins names with '-') or is one that tables use themselves.
    """
    names = _typed(f"{file}: personas", _mapping(file).get("personas"), tuple[str, ...])
    for name in names:
        if not re.fullmatch(r"[a-z0-9_]+", name) or name == "all":
            raise UserError(
                f"{file}: personas: found {name!r}, expected a name of [a-z0-9_], and not 'all'"
            )
    return names


def wording(key: str, file: Path = Path("params.yaml")) -> str:
    """One text of the section `prompt`: ``question``, ``<persona>_system``, ``<persona>_prefix``.

    Raises
    ------
    UserError
        If the key is missing or its value is no text.
    """
    values = _mapping(file).get("prompt")
    if not isinstance(values, dict) or key not in values:
        raise UserError(f"{file}: prompt.{key}: key is missing")
    return _typed(f"{file}: prompt.{key}", values[key], str)


def require_known_wordings(file: Path = Path("params.yaml")) -> None:
    """Raise `UserError` for a key of the section `prompt` that no persona reads."""
    ends = ("system", "prefix")
    expected = {"question"} | {f"{name}_{end}" for name in personas(file) for end in ends}
    for key in sorted(set(_mapping(file).get("prompt", {})) - expected):
        raise UserError(
            f"{file}: prompt.{key}: unknown key, expected one of {', '.join(sorted(expected))}"
        )


def require_persona(name: str, file: Path = Path("params.yaml")) -> None:
    """Raise `UserError` if params.yaml does not declare a persona of this name."""
    declared = personas(file)
    if name not in declared:
        raise UserError(
            f"{file}: personas: unknown persona {name!r}, expected one of {', '.join(declared)}"
        )


def _mapping(file: Path) -> dict[str, Any]:
    """The whole file as a mapping."""
    if not file.is_file():
        raise UserError(f"{file}: no such file; run stages from the folder that holds it")
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(
            f"{file}: expected sections at the top level, found {type(values).__name__}"
        )
    return values


def _keys(schema: Any) -> str:
    """The field names of a schema, for a message."""
    return ", ".join(field.name for field in dataclasses.fields(schema))


def _typed(where: str, value: Any, expected: Any) -> Any:
    """Check a value against a type; lists become tuples, whole numbers may stand for floats."""
    arguments = typing.get_args(expected)
    origin = typing.get_origin(expected) or expected
    if origin is tuple and isinstance(value, list):
        return tuple(_typed(f"{where}[{i}]", item, arguments[0]) for i, item in enumerate(value))
    if type(None) in arguments:
        return None if value is None else _typed(where, value, arguments[0])
    if origin is float and type(value) is int:
        return float(value)
    if origin is tuple or type(value) is not origin:
        name = "list" if origin is tuple else origin.__name__
        raise UserError(f"{where}: expected {name}, found {value!r}")
    return value
