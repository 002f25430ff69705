"""The grid of wordings: its texts, its statements, and the table of its cells."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from stages.lib.io import params, row_order, tables
from stages.lib.io.cli import UserError
from stages.lib.patching import prompt_pairs
from stages.wordings.config import GridConfig

WORDINGS = ("system", "question", "prefix")
CELLS: tables.Schema = {
    "system": pl.String,
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
    """Texts of the cells of one system prompt, each with its key in params.yaml.

    Attributes
    ----------
    system : tuple of str and str
        Key and text of the system prompt.
    questions, prefixes : dict of str to tuple of str and str
        Key and text, by name in the grid.
    """

    system: tuple[str, str]
    questions: dict[str, tuple[str, str]]
    prefixes: dict[str, tuple[str, str]]


def wordings(config: GridConfig, system: str) -> Wordings:
    """Look up the texts of one system prompt's cells."""
    return Wordings(
        _keyed_text(f"prompt.{system}_system"),
        _texts(config, "questions"),
        _texts(config, "prefixes"),
    )


def sample(statements: pl.DataFrame, limit: int | None) -> pl.DataFrame:
    """Choose at most `limit` statements per topic, true and false ones in turn.

    Parameters
    ----------
    statements : DataFrame
        Columns of `tables.STATEMENTS`.
    limit : int or None
        None keeps all.

    Returns
    -------
    DataFrame
        Statements of both splits, known and unknown, sorted by `statement_id`.
    """
    groups = [
        prompt_pairs.sample(group, limit, ["label"]) for _, group in statements.group_by("topic")
    ]
    return pl.concat([statements.clear(), *groups]).sort("statement_id")


def read_cells(
    file: Path, config: GridConfig, statement_ids: pl.Series
) -> dict[tuple[str, str, str], pl.DataFrame]:
    """Read every cell of the grid.

    Parameters
    ----------
    file : Path
        A table of `CELLS`.
    config : GridConfig
        Section `grid`.
    statement_ids : Series of str
        The statements of every cell, sorted.

    Returns
    -------
    dict of (str, str, str) to DataFrame
        Rows of each cell, by system prompt, question and prefix, in declared order; rows sorted by
        statement.

    Raises
    ------
    UserError
        If the cells are not those of `config`, or their statements not `statement_ids`.
    """
    table = tables.read(file, CELLS)
    cells = {
        (str(system), str(question), str(prefix)): rows
        for (system, question, prefix), rows in table.group_by(WORDINGS, maintain_order=True)
    }
    if set(cells) != set(config.combinations):
        raise UserError(
            f"{file}: found cells {sorted(cells)}, expected {sorted(config.combinations)}; "
            "run `dvc repro`"
        )
    for rows in cells.values():
        row_order.require(file, rows["statement_id"], statement_ids)
    return {combination: cells[combination] for combination in config.combinations}


def _texts(config: GridConfig, kind: str) -> dict[str, tuple[str, str]]:
    """Look up questions or prefixes by name; None stands for the text of section `prompt`."""
    base = params.text("patch.base")
    default_key = {"questions": "prompt.question", "prefixes": f"prompt.{base}_prefix"}[kind]
    return {
        name: _keyed_text(default_key)
        if text is None
        else (f"params.yaml: grid.{kind}.{name}", text)
        for name, text in getattr(config, kind).items()
    }


def _keyed_text(key: str) -> tuple[str, str]:
    """Pair a key of params.yaml with its text."""
    return f"params.yaml: {key}", params.text(key)
