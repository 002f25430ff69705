"""A figure, as the `figure.py` of a stage declares it: its file, how it is drawn, and from what."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from matplotlib import figure

from stages.lib.drawing import load
from stages.lib.io.tables import Schema


@dataclass(frozen=True)
class Figure:
    """One picture.

    Attributes
    ----------
    file : str
        Name of the PNG.
    draw : callable
        Draws the picture from `tables` and those of `load.COMMON`; it can read no others.
    tables : dict of str to Schema
        Plot tables by name, `STAGE/NAME`, each with its columns.
    """

    file: str
    draw: Callable[[load.Tables], figure.Figure]
    tables: dict[str, Schema]


def schemas(figures: Iterable[Figure]) -> dict[str, Schema]:
    """Every table that a figure declares, and those that all figures read.

    Raises
    ------
    ValueError
        If two figures declare other columns of one table, or have one file.
    """
    columns, files = dict(load.COMMON), set[str]()
    for one in figures:
        if one.file in files:
            raise ValueError(f"two figures are called {one.file}")
        files.add(one.file)
        for name, schema in one.tables.items():
            if columns.setdefault(name, schema) != schema:
                raise ValueError(f"{one.file}: columns of {name} differ from another declaration")
    return columns
