"""Where the blocks of each statement's two prompts are, from the tables of prompts."""

from pathlib import Path

import numpy as np

from stages.lib.io import tables
from stages.lib.patching.cases import Cases
from stages.positions import blocks
from stages.positions.blocks import Decode, NotFoundError, Pairs, Wording


def pairs(
    found: Cases,
    statements: Path,
    prompts: dict[str, Path],
    wordings: dict[str, Wording],
    decode: Decode,
) -> tuple[Cases, list[Pairs], list[str]]:
    """Pair the positions of each statement's two prompts, block by block.

    Parameters
    ----------
    found : Cases
        The statements, with the token ids of both prompts.
    statements : Path
        Table of the statements.
    prompts, wordings : dict of str to Path and of str to Wording
        Table of prompts, and what they were rendered from, of ``base`` and of ``source``.
    decode : callable
        From token ids to text, special tokens included.

    Returns
    -------
    tuple of Cases, list of Pairs and list of str
        Statements in both of whose prompts the wordings were found, their positions, and one line
        for each of the others that says what was not found.
    """
    table = tables.read(statements, tables.STATEMENTS)
    worded = dict(zip(table["statement_id"], table["statement"], strict=True))
    texts = {role: _texts(file) for role, file in prompts.items()}
    kept, paired, missing = [], [], []
    for row, name in enumerate(found.table["statement_id"]):
        ids = {"base": found.base[row], "source": found.source[row]}
        try:
            cut = [
                _cut(decode, ids[role], texts[role][name], wordings[role], worded[name])
                for role in ids
            ]
        except NotFoundError as error:
            missing.append(f"{worded[name]!r}: {error}")
            continue
        kept.append(row)
        paired.append(blocks.align(ids["base"], ids["source"], cut[0][0], [of for _, of in cut]))
    return found.only(found.table["statement_id"][kept]), paired, missing


def _texts(file: Path) -> dict[str, str]:
    """Text of each statement's prompt."""
    table = tables.read(file, tables.PROMPTS)
    return dict(zip(table["statement_id"], table["text"], strict=True))


def _cut(
    decode: Decode, token_ids: list[int], text: str, wording: Wording, statement: str
) -> tuple[list[str], np.ndarray]:
    """Blocks of a prompt's pieces, and the piece of each token."""
    names, starts = zip(*blocks.segments(text, wording, statement), strict=True)
    return list(names), blocks.of_tokens(decode, token_ids, text, list(starts))
