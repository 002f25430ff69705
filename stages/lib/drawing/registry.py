"""A figure as a stage's `figure.py` declares it: its file, drawing function and tables."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from matplotlib import figure

from stages.lib.drawing import load
from stages.lib.io.tables import Schema


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes
    ----------
    file : str
        Name of the PNG.
    draw : callable
        Draws the figure; it can read only `tables` and the tables of `load.COMMON`.
    tables : dict of str to Schema
        Columns of each plot table, by table name, `STAGE/NAME`.
    """

    file: str
    draw: Callable[[load.Tables], figure.Figure]
    tables: dict[str, Schema]


def schemas(figures: Iterable[Figure]) -> dict[str, Schema]:
    """Collect the columns of all tables that figures declare, and of `load.COMMON`.

    Raises
    ------
    ValueError
        If two figures declare different columns for one table, or have the same file.
    """
    columns, files = dict(load.COMMON), set[str]()
    for entry in figures:
        if entry.file in files:
            raise ValueError(f"two figures are called {entry.file}")
        files.add(entry.file)
        for name, schema in entry.tables.items():
            if columns.setdefault(name, schema) != schema:
                raise ValueError(f"{entry.file}: columns of {name} differ from another declaration")
    return columns
