"""Reads params.yaml: one section becomes one frozen dataclass, or one clear error.

The file is read as YAML 1.2, as DVC reads and writes it: ``No`` and ``12:30`` are texts.
"""

import dataclasses
import functools
import math
import re
import typing
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from ruamel.yaml import YAML, YAMLError

from stages.lib.io.cli import UserError
from stages.lib.io.narrow import is_dict, is_list
from stages.lib.io.ranges import Slug, Some

Schema = TypeVar("Schema")
FILE = Path("params.yaml")
LARGEST = 2**32 - 1
"""Largest whole number allowed: beyond it some library overflows, and no setting needs more."""
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that are not text: terminal control codes and halves of surrogate pairs."""
SUBSTITUTION = "${"
"""Marker that DVC substitutes in a text as soon as `-S` changes any setting."""
PERSONA = Slug("probe")  # `probe_accuracy` is a number of stage `summary`


def section(name: str, schema: type[Schema], file: Path = FILE) -> Schema:
    """Read one section of params.yaml.

    Parameters
    ----------
    name : str
        Key of the section; ``outer.inner`` for a nested section.
    schema : type
        Frozen dataclass whose fields are exactly the section's keys. Field types may be `str`,
        `int`, `float`, `bool`, ``X | None`` and ``tuple[X, ...]`` of these, `dict`, and any of
        them ``Annotated`` with rules of `stages.lib.io.ranges`.
    file : Path
        File to read.

    Returns
    -------
    schema
        Instance filled from the file; lists become tuples.

    Raises
    ------
    UserError
        If the section or one of its keys is missing, unknown, of another type or out of range.
    """
    where = f"{file}: {name}"
    values: Any = mapping(file)
    for key in name.split("."):
        values = values.get(key) if is_dict(values) else None
    if not is_dict(values):
        raise UserError(f"{where}: section is missing, expected {_keys(schema)}")
    expected = {field.name for field in dataclasses.fields(schema)}  # pyright: ignore[reportArgumentType]
    for key in values:
        if key not in expected:
            raise UserError(f"{where}.{key}: unknown key, expected one of {_keys(schema)}")
    for key in sorted(expected - set(values)):
        raise UserError(f"{where}.{key}: key is missing")
    types = typing.get_type_hints(schema, include_extras=True)
    return schema(**{k: typed(f"{where}.{k}", v, types[k]) for k, v in values.items()})


def personas(file: Path = FILE) -> tuple[str, ...]:
    """Read the names of the declared personas, in order.

    Raises
    ------
    UserError
        If no persona is declared, a name is repeated, a name is no slug (DVC joins names with
        '-'), or tables reserve it.
    """
    declared = mapping(file).get("personas")
    return typed(f"{file}: personas", declared, Some[Annotated[str, PERSONA]])


def text(key: str, file: Path = FILE) -> str:
    """Read one text of a section by its key, such as ``patch.base``.

    Raises
    ------
    UserError
        If the key is missing or its value is no text.
    """
    name, inner = key.split(".")
    values = mapping(file).get(name, {})
    if not is_dict(values):
        raise UserError(f"{file}: {name}: found {values!r}, expected texts by name")
    if inner not in values:
        raise UserError(f"{file}: {key}: key is missing")
    return typed(f"{file}: {key}", values[inner], str)


def wording(key: str, file: Path = FILE) -> str:
    """Read a text of section `prompt`: ``question``, ``<name>_system`` or ``<persona>_prefix``.

    Raises
    ------
    UserError
        If the key is missing or its value is no text.
    """
    return text(f"prompt.{key}", file)


def require_persona(name: str, file: Path = FILE) -> None:
    """Raise `UserError` if params.yaml does not declare a persona of this name."""
    declared = personas(file)
    if name not in declared:
        raise UserError(
            f"{file}: personas: unknown persona {name!r}, expected one of {', '.join(declared)}"
        )


def named(where: str, values: dict[Any, Any], expected: Any) -> None:
    """Check a mapping of names to texts: not empty, every name a slug, every text of one type.

    Parameters
    ----------
    where : str
        File and key, for messages.
    values : dict
        Texts by name.
    expected : type
        Type of each text, as in `section`.

    Raises
    ------
    UserError
        Naming the key that is wrong.
    """
    if not values:
        raise UserError(f"{where}: found no wording, expected at least one")
    for name, value in values.items():
        typed(where, name, Annotated[str, Slug()])
        typed(f"{where}.{name}", value, expected)


def mapping(file: Path = FILE) -> dict[str, Any]:
    """Read the whole of params.yaml, as DVC does.

    Raises
    ------
    UserError
        If the file is missing, is not YAML 1.2 in UTF-8, or is not a mapping.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file; run stages from the folder that holds it")
    try:
        values = _parsed(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: byte {error.start} is not UTF-8, expected UTF-8") from None
    except RecursionError:
        raise UserError(f"{file}: not valid YAML: nested too deeply") from None
    except (YAMLError, ValueError) as error:  # ValueError: an impossible date or number
        raise UserError(f"{file}{_line(error)}: not valid YAML: {_problem(error)}") from None
    if not is_dict(values):
        raise UserError(
            f"{file}: expected sections at the top level, found {type(values).__name__}"
        )
    return values


def typed(where: str, value: Any, expected: Any) -> Any:
    """Check a value against a type and its rules.

    Parameters
    ----------
    where : str
        File and key, for messages.
    value : Any
        Value as it was read.
    expected : type
        Type as in `section`.

    Returns
    -------
    Any
        The value; lists become tuples, and whole numbers become floats where floats are expected.

    Raises
    ------
    UserError
        If the value is of another type, or a rule refuses it.
    """
    arguments = typing.get_args(expected)
    origin = typing.get_origin(expected) or expected
    if origin is Annotated:
        value = typed(where, value, arguments[0])
        faults = (rule.fault(value) for rule in arguments[1:] if value is not None)
        for fault in filter(None, faults):
            null = ", or null" if type(None) in typing.get_args(arguments[0]) else ""
            raise UserError(f"{where}: found {_shown(value)}, expected {fault}{null}")
        return value
    if origin is tuple and is_list(value):
        return tuple(typed(f"{where}[{i}]", item, arguments[0]) for i, item in enumerate(value))
    if type(None) in arguments:
        return None if value is None else typed(where, value, arguments[0])
    if type(value) is int and abs(value) > LARGEST:
        number_text = value if abs(value) < 10**20 else "one with more than 20 digits"
        raise UserError(f"{where}: found {number_text}, expected a number of at most {LARGEST}")
    if origin is float and type(value) is int:
        return float(value)
    if origin is tuple or type(value) is not origin:
        name = "list" if origin is tuple else origin.__name__
        raise UserError(f"{where}: expected {name}, found {value!r}")
    if origin is float and not math.isfinite(value):
        raise UserError(f"{where}: found {value}, expected a finite number")
    _require_text(where, value)
    return value


def _require_text(where: str, value: Any) -> None:
    """Refuse a text with unprintable characters, or with the marker that DVC substitutes."""
    if not isinstance(value, str):
        return
    if control := CONTROL.search(value):
        raise UserError(f"{where}: found the character {control[0]!a}, expected printable text")
    if SUBSTITUTION in value:
        raise UserError(
            f"{where}: found {SUBSTITUTION!r}, which DVC would replace, expected a text without it"
        )


@functools.cache
def _parsed(content: str) -> Any:
    """Parse a YAML text; callers share the cached value and must not change it."""
    return cast(Any, YAML(typ="safe")).load(content)


def _line(error: Exception) -> str:
    """Return the line of a YAML error for a message, or an empty text if it is unknown."""
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}" if mark else ""


def _problem(error: Exception) -> str:
    """Describe a YAML error on one line."""
    return " ".join(str(getattr(error, "problem", None) or error).split())


def _keys(schema: Any) -> str:
    """List the field names of a schema, for a message."""
    return ", ".join(field.name for field in dataclasses.fields(schema))


def _shown(value: Any) -> str:
    """Write a value as it stands in the file, for a message."""
    return repr(list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else value)
