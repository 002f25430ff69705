"""Cells of the grid: one system prompt with a question and a prefix, and what is answered."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from stages.lib import chat, forward
from stages.lib.forward import answers as forward_answers
from stages.lib.io import cache, tables
from stages.lib.model import lm, pretrained, readout
from stages.lib.model.readout import Answers
from stages.wordings import grid

KIND = "wordings"


@dataclass(frozen=True)
class Cell:
    """The prompts of one combination of wordings.

    Attributes
    ----------
    question, prefix : str
        Names of the wordings; the system prompt is the stage's.
    token_ids : list of list of int
        One prompt per statement.
    prefix_ids : list of int
        What all of them start with.
    """

    question: str
    prefix: str
    token_ids: list[list[int]]
    prefix_ids: list[int]


def render(
    tokenizer: Any, config: Any, wordings: grid.Wordings, statements: pl.DataFrame, file: Path
) -> list[Cell]:
    """Render and tokenise every cell of a system prompt, as stage `prompts` does.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        With a chat template.
    config : PreTrainedConfig
        The model's.
    wordings : Wordings
        The texts.
    statements : DataFrame
        Columns of `tables.STATEMENTS`.
    file : Path
        Where they come from, for a message.

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
        where = wordings.questions[question], wordings.prefixes[prefix]
        keys, texts = zip(wordings.system, *where, strict=True)
        made = chat.prompts(tokenizer, chat.Wording(*texts, keys=keys), named, config)
        return Cell(question, prefix, made.token_ids, made.prefix_ids)

    return [cell(*names) for names in itertools.product(wordings.questions, wordings.prefixes)]


def keys(cells: Iterable[Cell], model: Path, answers: Answers) -> list[str]:
    """Names under which cells are kept: hashes of all that their numbers depend on."""
    import torch
    import transformers

    manifest = tables.read_json(model / lm.MANIFEST)
    facts = {
        "model": manifest["identity"],
        "dtype": manifest["dtype"],
        "answers": [answers.true_ids, answers.false_ids],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "code": cache.code(forward, lm, pretrained, readout, forward_answers),
    }
    texts = ({"token_ids": cell.token_ids, "prefix_ids": cell.prefix_ids} for cell in cells)
    return [cache.key({**facts, **ids}) for ids in texts]


def run(
    cells: list[Cell], names: list[str], model: Path, answers: Answers, title: str
) -> Iterator[dict[str, np.ndarray]]:
    """Answers of each cell, in order: those that are kept, and the others by running the model.

    Parameters
    ----------
    cells : list of Cell
        From `render`.
    names : list of str
        From `keys`.
    model : Path
        Output of stage `model`; loaded only if there is a cell to compute.
    answers : Answers
        Tokens of the readout.
    title : str
        Shown beside the progress bar, and before how many cells were kept.

    Yields
    ------
    dict of str to ndarray
        ``readout`` and ``top``, as in `forward.answers.read`. What is computed is kept as soon as
        it is there, by the main process.
    """
    remembered = forward_answers.from_main_process(
        lambda: [cache.read(KIND, name) for name in names]
    )
    missing = [i for i, arrays in enumerate(remembered) if arrays is None]
    writes = forward.is_main_process()
    if writes:
        print(f"{title}: {len(cells) - len(missing)} cells kept, {len(missing)} computed")
    computed: Iterator[dict[str, np.ndarray]] = iter(())
    if missing:
        token_ids, prefixes = zip(
            *((cells[i].token_ids, cells[i].prefix_ids) for i in missing), strict=True
        )
        computed = forward_answers.read(
            lm.load(model), answers, list(token_ids), title, list(prefixes)
        )
    for name, arrays in zip(names, remembered, strict=True):
        if arrays is None:
            arrays = next(computed)
            if writes:
                cache.write(KIND, name, arrays)
        yield arrays


def rows(
    cell: Cell,
    arrays: dict[str, np.ndarray],
    statements: pl.DataFrame,
    tokenizer: Any,
    answers: Answers,
) -> pl.DataFrame:
    """One cell's rows of a table of `grid.CELLS`."""
    ids, p = arrays["top"].tolist(), arrays["readout"]
    texts = {i: tokenizer.decode([i]) for i in set(ids)}
    either = {*answers.true_ids, *answers.false_ids}
    return statements.select("statement_id").with_columns(
        question=pl.lit(cell.question),
        prefix=pl.lit(cell.prefix),
        p_true=pl.Series(p[:, 0]),
        p_false=pl.Series(p[:, 1]),
        answer_mass=pl.Series(p.sum(axis=1)),
        top_id=pl.Series(ids, dtype=pl.UInt32),
        top_token=pl.Series([texts[i] for i in ids], dtype=pl.String),
        top_is_answer=pl.Series([i in either for i in ids], dtype=pl.Boolean),
    )
