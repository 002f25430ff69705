"""The grid of wordings: its texts, its statements, and the table of its cells."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from stages.lib.io import params, row_order, tables
from stages.lib.io.cli import UserError
from stages.lib.patching import prompt_pairs
from stages.wordings.config import GridConfig

CELLS: tables.Schema = {
    "question": pl.String,
    "prefix": pl.String,
    "statement_id": pl.String,
    "p_true": pl.Float32,
    "p_false": pl.Float32,
    "answer_mass": pl.Float32,
    "top_id": pl.UInt32,
    "top_token": pl.String,
    "top_is_answer": pl.Boolean,
}


@dataclass(frozen=True)
class Wordings:
    """Texts of the cells of one system prompt, each after its key in params.yaml.

    Attributes
    ----------
    system : tuple of str and str
        System prompt.
    questions, prefixes : dict of str to tuple of str and str
        By the name in the grid.
    """

    system: tuple[str, str]
    questions: dict[str, tuple[str, str]]
    prefixes: dict[str, tuple[str, str]]


def wordings(config: GridConfig, system: str) -> Wordings:
    """Look up the texts of one system prompt's cells.

    Raises
    ------
    UserError
        If the grid does not declare the system prompt, or a text is missing.
    """
    if system not in config.systems:
        raise UserError(
            f"params.yaml: grid.systems: unknown system prompt {system!r}, "
            f"expected one of {', '.join(config.systems)}"
        )
    return Wordings(
        _named(f"prompt.{system}_system"), _texts(config, "questions"), _texts(config, "prefixes")
    )


def sample(statements: pl.DataFrame, limit: int | None) -> pl.DataFrame:
    """Choose at most `limit` statements of each topic, true and false ones in turn.

    Parameters
    ----------
    statements : DataFrame
        Columns of `tables.STATEMENTS`.
    limit : int or None
        None keeps all.

    Returns
    -------
    DataFrame
        Of both splits, whether the model knows them or not; sorted by `statement_id`.
    """
    groups = [
        prompt_pairs.sample(group, limit, ["label"]) for _, group in statements.group_by("topic")
    ]
    return pl.concat([statements.clear(), *groups]).sort("statement_id")


def read_cells(
    folder: Path, config: GridConfig, statement_ids: pl.Series
) -> dict[str, pl.DataFrame]:
    """Read the cells of every declared system prompt.

    Parameters
    ----------
    folder : Path
        With one table of `CELLS` for each system prompt; others are left alone.
    config : GridConfig
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
    by_system = {}
    for system in config.systems:
        file = folder / f"{system}.parquet"
        cells = tables.read(file, CELLS)
        pairs = sorted(itertools.product(config.questions, config.prefixes))
        named = cells.select("question", "prefix").unique().sort("question", "prefix").rows()
        if named != pairs:
            raise UserError(f"{file}: found cells {named}, expected {pairs}; run `dvc repro`")
        for _, rows in cells.group_by("question", "prefix", maintain_order=True):
            row_order.require(file, rows["statement_id"], statement_ids)
        by_system[system] = cells
    return by_system


def _texts(config: GridConfig, kind: str) -> dict[str, tuple[str, str]]:
    """Questions or prefixes by name; what the grid leaves open is that of section `prompt`."""
    base = params.text("patch.base")
    shared = {"questions": "prompt.question", "prefixes": f"prompt.{base}_prefix"}[kind]
    return {
        name: _named(shared) if text is None else (f"params.yaml: grid.{kind}.{name}", text)
        for name, text in getattr(config, kind).items()
    }


def _named(key: str) -> tuple[str, str]:
    """A text of params.yaml after its key."""
    return f"params.yaml: {key}", params.text(key)
