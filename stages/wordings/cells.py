"""Cells of the grid: a system prompt, a question and a prefix, with prompts and answers."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from stages.lib import chat
from stages.lib.model.readout import Answers
from stages.wordings import grid


@dataclass(frozen=True)
class Cell:
    """The prompts of one combination of wordings.

    Attributes
    ----------
    system, question, prefix : str
        Names of the wordings.
    token_ids : list of list of int
        One prompt per statement.
    prefix_ids : list of int
        Token ids that all prompts of the cell start with.
    """

    system: str
    question: str
    prefix: str
    token_ids: list[list[int]]
    prefix_ids: list[int]


def render(
    tokenizer: Any,
    config: Any,
    system: str,
    wordings: grid.Wordings,
    statements: pl.DataFrame,
    file: Path,
) -> list[Cell]:
    """Render and tokenise every cell of a system prompt, as stage `prompts` does.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        With a chat template.
    config : PreTrainedConfig
        Configuration of the model.
    system : str
        Name of the system prompt.
    wordings : Wordings
        Texts of the cells.
    statements : DataFrame
        Columns of `tables.STATEMENTS`.
    file : Path
        File of the statements, for error messages.

    Returns
    -------
    list of Cell
        Questions and prefixes in declared order.

    Raises
    ------
    UserError
        As `chat.prompts`.
    """
    named = chat.named(statements, file)

    def cell(question: str, prefix: str) -> Cell:
        keyed_texts = wordings.questions[question], wordings.prefixes[prefix]
        keys, texts = zip(wordings.system, *keyed_texts, strict=True)
        cell_prompts = chat.prompts(tokenizer, chat.Wording(*texts, keys=keys), named, config)
        return Cell(system, question, prefix, cell_prompts.token_ids, cell_prompts.prefix_ids)

    return [cell(*names) for names in itertools.product(wordings.questions, wordings.prefixes)]


def rows(
    cell: Cell,
    arrays: dict[str, np.ndarray],
    statements: pl.DataFrame,
    tokenizer: Any,
    answers: Answers,
) -> pl.DataFrame:
    """Make one cell's rows, with the columns of `grid.CELLS`."""
    ids, p = arrays["top"].tolist(), arrays["readout"]
    texts = {i: tokenizer.decode([i]) for i in set(ids)}
    answer_ids = {*answers.true_ids, *answers.false_ids}
    return statements.select("statement_id").with_columns(
        system=pl.lit(cell.system),
        question=pl.lit(cell.question),
        prefix=pl.lit(cell.prefix),
        p_true=pl.Series(p[:, 0]),
        p_false=pl.Series(p[:, 1]),
        answer_mass=pl.Series(p.sum(axis=1)),
        top_id=pl.Series(ids, dtype=pl.UInt32),
        top_token=pl.Series([texts[i] for i in ids], dtype=pl.String),
        top_is_answer=pl.Series([i in answer_ids for i in ids], dtype=pl.Boolean),
    )
