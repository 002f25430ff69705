"""Where the blocks of each statement's two prompts are, from the texts of the prompts."""

import numpy as np

from stages.lib.patching.prompt_pairs import PromptPairs
from stages.positions import blocks
from stages.positions.blocks import Decode, NotFoundError, Pairs, Wording


def pairs(
    about: PromptPairs,
    wordings: dict[str, Wording],
    decode: Decode,
) -> tuple[PromptPairs, list[Pairs], list[str]]:
    """Pair the positions of each statement's two prompts, block by block.

    Parameters
    ----------
    about : PromptPairs
        The statements, with the text and the token ids of both prompts.
    wordings : dict of str to Wording
        What the prompts of ``base`` and of ``source`` were rendered from.
    decode : callable
        From token ids to text, special tokens included.

    Returns
    -------
    tuple of PromptPairs, list of Pairs and list of str
        Statements in both of whose prompts the wordings were found, their positions, and one line
        for each of the others that says what was not found.
    """
    worded = about.table["statement"].to_list()
    texts = {role: about.table[f"{role}_text"].to_list() for role in ("source", "base")}
    kept, paired, missing = [], [], []
    for row in range(len(about.table)):
        ids = {"base": about.base[row], "source": about.source[row]}
        try:
            cut = [
                _cut(decode, ids[role], texts[role][row], wordings[role], worded[row])
                for role in ids
            ]
        except NotFoundError as error:
            missing.append(f"{worded[row]!r}: {error}")
            continue
        kept.append(row)
        paired.append(blocks.align(ids["base"], ids["source"], cut[0][0], [of for _, of in cut]))
    return about.only(about.table["statement_id"][kept]), paired, missing


def _cut(
    decode: Decode, token_ids: list[int], text: str, wording: Wording, statement: str
) -> tuple[list[str], np.ndarray]:
    """Blocks of a prompt's pieces, and the piece of each token."""
    names, starts = zip(*blocks.segments(text, wording, statement), strict=True)
    return list(names), blocks.of_tokens(decode, token_ids, text, list(starts))
