"""Both prompts of each statement with their positions paired, and patched at some of the pairs."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from stages.lib.forward import Patcher, batches
from stages.lib.io import params
from stages.lib.patching import blocks
from stages.lib.patching.blocks import Decode, NotFoundError, Pairs, Wording
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.prompt_pairs import PromptPairs

MOST_GROUPS = 8  # the batches of each are its own
AT_ONCE = 32  # statements whose z is held at a time


def wordings(config: PatchConfig) -> dict[str, Wording]:
    """What the prompts of ``source`` and of ``base`` are rendered from, by params.yaml."""
    return {role: _wording(getattr(config, role)) for role in ("source", "base")}


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
    kept: list[int] = []
    paired: list[Pairs] = []
    missing: list[str] = []
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


def placed(setting: Experiment, node: str) -> tuple[Experiment, list[Pairs]]:
    """Keep the statements in both of whose prompts the wordings are found, and name the others.

    Parameters
    ----------
    setting : Experiment
        Statements and model.
    node : str
        Who leaves statements out, for the lines that the main process prints.

    Returns
    -------
    tuple of Experiment and list of Pairs
        With those statements, and their positions.
    """
    decode = setting.lm.tokenizer.decode
    about, counterparts, notes = pairs(setting.pairs, wordings(setting.config), decode)
    if notes and batches.is_main_process():
        print(f"{node}: left out {len(notes)} statements", *notes, sep="\n")
    return replace(setting, pairs=about), counterparts


def _cut(
    decode: Decode, token_ids: list[int], text: str, wording: Wording, statement: str
) -> tuple[list[str], np.ndarray]:
    """Blocks of a prompt's pieces, and the piece of each token."""
    names, starts = zip(*blocks.segments(text, wording, statement), strict=True)
    return list(names), blocks.of_tokens(decode, token_ids, text, list(starts))


def patchers(
    setting: Experiment, counterparts: list[Pairs]
) -> Iterator[tuple[list[int], Patcher, torch.Tensor | None]]:
    """Make what patches z of the source's positions in at the base's.

    Parameters
    ----------
    setting : Experiment
        Statements and model.
    counterparts : list of Pairs
        Positions of each statement.

    Yields
    ------
    tuple of list of int, Patcher and Tensor or None
        Numbers of some statements of a group; their patcher, at as many last positions as hold all
        pairs of the group; and what it is to write there (None: the source run's own z). Without
        the statements that `groups` leaves out.
    """
    about = setting.pairs
    lengths = [min(len(a), len(b)) for a, b in zip(about.base, about.source, strict=True)]
    for reach, part in _parts(counterparts, lengths):
        some = [counterparts[i] for i in part]
        base, source = ([prompts[i] for i in part] for prompts in (about.base, about.source))
        patcher = Patcher(
            setting.lm,
            setting.answers,
            base,
            source,
            reach,
            keep=True,
            site=setting.site,
            prefixes=(about.base_prefix, about.source_prefix),
        )
        yield part, patcher, _moved(patcher, some, reach)


def mask(counterparts: list[Pairs], reach: int) -> np.ndarray:
    """Mark the base's positions of the pairs among the last ones: (n_statements, reach), bool."""
    at = np.zeros((len(counterparts), reach), bool)
    for row, paired in zip(at, counterparts, strict=True):
        row[paired.base] = True
    return at


def groups(counterparts: list[Pairs], lengths: list[int]) -> list[list[int]]:
    """Group statements whose positions are all among as many last ones as each prompt has.

    Parameters
    ----------
    counterparts : list of Pairs
        Positions of each statement.
    lengths : list of int
        Tokens of the shorter one of its two prompts.

    Returns
    -------
    list of list of int
        Numbers of the statements, in order, the largest group first; past `MOST_GROUPS` they are
        left out.
    """
    waiting = sorted(range(len(counterparts)), key=lambda i: (-counterparts[i].reach, i))
    grouped: list[list[int]] = []
    while waiting:
        reach = counterparts[waiting[0]].reach
        grouped.append(sorted(i for i in waiting if lengths[i] >= reach))
        waiting = [i for i in waiting if lengths[i] < reach]
    return sorted(grouped, key=lambda group: (-len(group), group))[:MOST_GROUPS]


def _parts(counterparts: list[Pairs], lengths: list[int]) -> Iterator[tuple[int, list[int]]]:
    """Cut each group into parts: how many last positions hold the group's pairs, and a part."""
    for group in groups(counterparts, lengths):
        reach = max(counterparts[i].reach for i in group)
        for part in batches.parts(group, AT_ONCE):
            yield reach, part


def _wording(persona: str) -> Wording:
    """What a persona's prompts are rendered from."""
    system, prefix = (params.wording(f"{persona}_{end}") for end in ("system", "prefix"))
    return Wording(system, params.wording("question"), prefix)


def _moved(patcher: Patcher, counterparts: list[Pairs], reach: int) -> torch.Tensor | None:
    """The source run's z at the positions of the base run; None where they are the same."""
    if all((p.base == p.source).all() for p in counterparts):
        return None
    take = torch.arange(reach).repeat(len(counterparts), 1)
    for row, p in zip(take, counterparts, strict=True):
        row[reach + p.base] = torch.as_tensor(reach + p.source)
    source = patcher.z("z")[1]
    return source[:, torch.arange(len(counterparts))[:, None], take]
