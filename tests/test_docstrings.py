"""What a docstring lists as parameters or attributes is what the code has."""

import importlib
import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.pipeline.closure import ROOT

FILES = sorted(file.relative_to(ROOT).with_suffix("") for file in (ROOT / "stages").rglob("*.py"))
MODULES = [".".join(file.parts).removesuffix(".__init__") for file in FILES]
SECTION = r"(?:Parameters|Attributes)\n-+\n(.*?)(?=\n\n[A-Z][a-z]+\n-+\n|\Z)"
ENTRY = r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: :.*)?$"


def documented(text: str) -> set[str]:
    """Names that the sections of a docstring list."""
    entries = [
        entry
        for section in re.findall(SECTION, text, re.DOTALL)
        for entry in re.findall(ENTRY, section, re.MULTILINE)
    ]
    return {name.lstrip("*") for entry in entries for name in entry.split(", ")}


def owned(owner: Any) -> set[str]:
    """Names of a function's parameters, or of what a class and its objects have."""
    function = owner.__init__ if inspect.isclass(owner) else owner
    names = set(inspect.signature(function).parameters)
    if inspect.isclass(owner):
        names |= set(dir(owner)) | set(re.findall(r"\bself\.(\w+)", inspect.getsource(owner)))
        names |= {name for base in owner.__mro__ for name in inspect.get_annotations(base)}
    return names


def members(module: ModuleType | type) -> Iterator[Any]:
    """Functions and classes of a module, and the functions of these classes."""
    for member in vars(module).values():
        function = inspect.unwrap(getattr(member, "__func__", member))
        if inspect.isfunction(function) and function.__module__ == _home(module):
            yield function
        elif inspect.isclass(member) and member.__module__ == _home(module):
            yield member
            yield from members(member)


def _home(owner: ModuleType | type) -> str:
    """Name of the module that something is defined in."""
    return owner.__module__ if inspect.isclass(owner) else owner.__name__


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_list_what_there_is(name):
    for member in members(importlib.import_module(name)):
        unknown = documented(inspect.getdoc(member) or "") - owned(member)
        assert not unknown, f"{name}.{member.__qualname__}"


def test_a_name_that_is_no_parameter_is_found():
    def wrong(rows: int) -> None:
        """Do it.

        Parameters
        ----------
        rows, cases : int
            Some.
        """

    assert documented(inspect.getdoc(wrong) or "") - owned(wrong) == {"cases"}
