"""The grid of wordings: its section of params.yaml, its statements, and the table of its cells."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from stages.lib import alignment, cases, params, tables
from stages.lib.cli import UserError

CELLS: tables.Schema = {
    "question": pl.String,
    "prefix": pl.String,
    "statement_id": pl.String,
    "p_true": pl.Float32,
    "p_false": pl.Float32,
    "truth_mass": pl.Float32,
    "top_id": pl.UInt32,
    "top_token": pl.String,
    "top_is_answer": pl.Boolean,
}
PLACEHOLDER = "{statement}"


@dataclass(frozen=True)
class Config:
    """Section `grid` of params.yaml: named wordings, each a text.

    Attributes
    ----------
    systems, questions, prefixes : dict of str to str
        Wordings by name; every combination is a row of the grid.
    limit : int or None
        Statements per split; None takes all.
    """

    systems: dict[str, Any]
    questions: dict[str, Any]
    prefixes: dict[str, Any]
    limit: int | None

    def __post_init__(self) -> None:
        """Refuse names that DVC or the tables could not tell apart, and what is no wording."""
        params.at_least("grid.limit", self.limit, 1)
        for kind in ("systems", "questions", "prefixes"):
            _require_wordings(f"params.yaml: grid.{kind}", getattr(self, kind))
        for name, text in self.questions.items():
            if PLACEHOLDER not in text:
                raise UserError(f"params.yaml: grid.questions.{name}: expected {PLACEHOLDER} in it")

    @property
    def combinations(self) -> list[tuple[str, str, str]]:
        """Names of system prompt, question and prefix, in declared order."""
        return list(itertools.product(self.systems, self.questions, self.prefixes))


def read(system: str | None = None) -> Config:
    """Read section `grid` of params.yaml, and check that it declares a system prompt."""
    config = params.section("grid", Config)
    if system is not None and system not in config.systems:
        raise UserError(
            f"params.yaml: grid.systems: unknown system prompt {system!r}, "
            f"expected one of {', '.join(config.systems)}"
        )
    return config


def sample(statements: pl.DataFrame, limit: int | None) -> pl.DataFrame:
    """Choose at most `limit` statements of each split, true and false ones in turn.

    Parameters
    ----------
    statements : DataFrame
        Columns of `tables.STATEMENTS`.
    limit : int or None
        None keeps all.

    Returns
    -------
    DataFrame
        Of both parts, whether the model knows them or not; sorted by `statement_id`.
    """
    groups = [cases.sample(group, limit, ["label"]) for _, group in statements.group_by("split")]
    return pl.concat([statements.clear(), *groups]).sort("statement_id")


def read_cells(folder: Path, config: Config, statement_ids: pl.Series) -> dict[str, pl.DataFrame]:
    """Read the cells of every declared system prompt.

    Parameters
    ----------
    folder : Path
        With one table of `CELLS` for each system prompt; others are left alone.
    config : Config
        What is declared.
    statement_ids : Series of str
        The statements of every cell, sorted.

    Returns
    -------
    dict of str to DataFrame
        By system prompt; rows sorted by question, prefix and statement.

    Raises
    ------
    UserError
        If a file is missing, or has other questions, prefixes or statements.
    """
    found = {}
    for system in config.systems:
        file = folder / f"{system}.parquet"
        cells = tables.read(file, CELLS)
        pairs = sorted(itertools.product(config.questions, config.prefixes))
        named = cells.select("question", "prefix").unique().sort("question", "prefix").rows()
        if named != pairs:
            raise UserError(f"{file}: found cells {named}, expected {pairs}; run `dvc repro`")
        for _, rows in cells.group_by("question", "prefix", maintain_order=True):
            alignment.require(file, rows["statement_id"], statement_ids)
        found[system] = cells
    return found


def _require_wordings(where: str, wordings: dict[Any, Any]) -> None:
    """Raise `UserError` for a name that is no slug, a wording that is no text, or none at all."""
    if not wordings:
        raise UserError(f"{where}: found no wording, expected at least one")
    for name, text in wordings.items():
        if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9_]+", name):
            raise UserError(f"{where}: found name {name!r}, expected one of [a-z0-9_]")
        if not isinstance(text, str):
            raise UserError(f"{where}.{name}: expected str, found {text!r}")
