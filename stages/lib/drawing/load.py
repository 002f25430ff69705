"""Reads the plot tables for the figures."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from stages.lib.drawing import columns
from stages.lib.io import tables
from stages.lib.io.cli import UserError

# Tables behind the properties of `Tables`: personas, roles, window.
COMMON = columns.BEHAVIOUR | columns.TRANSPLANT | columns.WINDOWS


@dataclass(frozen=True)
class Tables:
    """Plot tables with checked columns.

    Attributes
    ----------
    rows : dict of str to DataFrame
        Tables by name, `STAGE/NAME`; long format, one row per point.
    """

    rows: dict[str, pl.DataFrame]

    def __getitem__(self, name: str) -> pl.DataFrame:
        """Return a table by its name."""
        return self.rows[name]

    def only(self, names: Collection[str]) -> "Tables":
        """Keep the named tables and the tables of `COMMON`."""
        return Tables({name: self.rows[name] for name in {*COMMON, *names}})

    @property
    def personas(self) -> list[str]:
        """Personas in declared order."""
        return names(self["behaviour/accuracy"], "persona")

    @property
    def source(self) -> str:
        """Persona whose z is patched in."""
        return self._role("source")

    @property
    def base(self) -> str:
        """Persona whose run is patched."""
        return self._role("base")

    @property
    def window(self) -> int:
        """Number of layers in a window; 0 if none was run."""
        sizes = self["windows/windows"]["last_layer"] - self["windows/windows"]["first_layer"] + 1
        return max(sizes.to_list(), default=0)

    def _role(self, role: str) -> str:
        """Return the persona that has a role in the patched run."""
        return self["transplant/transplant"].filter(run="patched")[role][0]


def read(folder: Path, schemas: dict[str, tables.Schema]) -> Tables:
    """Read plot tables.

    Parameters
    ----------
    folder : Path
        Folder with one subfolder per stage that writes plot tables.
    schemas : dict of str to Schema
        Columns of each table, by table name.

    Returns
    -------
    Tables

    Raises
    ------
    UserError
        If a file is missing, or a row lacks a column or has an unknown column.
    """
    return Tables(
        {name: _table(folder / f"{name}.json", schema) for name, schema in schemas.items()}
    )


def names(rows: pl.DataFrame, column: str) -> list[str]:
    """List the distinct values of a column, in the order of their first row."""
    return rows[column].unique(maintain_order=True).to_list()


def topics(rows: pl.DataFrame) -> list[str]:
    """List the topics in their order, without 'all'."""
    return [name for name in names(rows, "topic") if name != "all"]


def counts(rows: pl.DataFrame) -> dict[str, int]:
    """Return the largest n of each topic."""
    return dict(rows.group_by("topic").agg(pl.col("n").max()).iter_rows())


def _table(file: Path, schema: tables.Schema) -> pl.DataFrame:
    """Read one plot table and check its columns."""
    rows = tables.read_json(file)
    for number, row in enumerate(rows, start=1):
        for name in sorted(set(schema) ^ set(row)):
            state = "is missing" if name in schema else "is unknown"
            raise UserError(f"{file}: row {number}: column {name!r} {state}; run `dvc repro`")
    return pl.DataFrame(rows, schema=schema)
