"""Pairs the positions of each statement's two prompts, and makes patchers at those pairs."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from stages.lib.forward import Patcher, batches
from stages.lib.patching import blocks
from stages.lib.patching.blocks import Decode, NotFoundError, Pairs, PersonaWording
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.prompt_pairs import PromptPairs

STATEMENTS_AT_ONCE = 32  # statements whose z is held at a time


def wordings(config: PatchConfig) -> dict[str, PersonaWording]:
    """Read from params.yaml what the prompts of ``source`` and of ``base`` are rendered from."""
    return {role: blocks.wording_of(getattr(config, role)) for role in ("source", "base")}


def pairs(
    about: PromptPairs,
    wordings: dict[str, PersonaWording],
    decode: Decode,
) -> tuple[PromptPairs, list[Pairs], list[str]]:
    """Pair the positions of each statement's two prompts, block by block.

    Parameters
    ----------
    about : PromptPairs
        The statements, with the text and the token ids of both prompts.
    wordings : dict of str to PersonaWording
        What the prompts of ``base`` and of ``source`` were rendered from.
    decode : callable
        From token ids to text, special tokens included.

    Returns
    -------
    tuple of PromptPairs, list of Pairs and list of str
        The statements whose two prompts both contain their wordings; their position pairs; and for
        each other statement one line that says which wording is missing.
    """
    statements = about.table["statement"].to_list()
    texts = {role: about.table[f"{role}_text"].to_list() for role in ("source", "base")}
    aligned_rows: list[int] = []
    aligned_pairs: list[Pairs] = []
    exclusions: list[str] = []
    for row in range(len(about.table)):
        ids = {"base": about.base[row], "source": about.source[row]}
        try:
            segmentations = [
                _cut(decode, ids[role], texts[role][row], wordings[role], statements[row])
                for role in ids
            ]
        except NotFoundError as error:
            exclusions.append(f"{statements[row]!r}: {error}")
            continue
        aligned_rows.append(row)
        aligned_pairs.append(
            blocks.align(
                ids["base"],
                ids["source"],
                segmentations[0][0],
                [token_pieces for _, token_pieces in segmentations],
            )
        )
    return about.only(about.table["statement_id"][aligned_rows]), aligned_pairs, exclusions


def placed(setting: Experiment, node: str) -> tuple[Experiment, list[Pairs]]:
    """Keep the statements whose two prompts contain their wordings, and print the other ones.

    Parameters
    ----------
    setting : Experiment
        Statements and model.
    node : str
        Stage that leaves statements out, for the lines that the main process prints.

    Returns
    -------
    tuple of Experiment and list of Pairs
        The experiment with the statements that are left, and their position pairs.
    """
    decode = setting.lm.tokenizer.decode
    about, counterparts, notes = pairs(setting.pairs, wordings(setting.config), decode)
    if notes and batches.is_main_process():
        print(f"{node}: left out {len(notes)} statements", *notes, sep="\n")
    return replace(setting, pairs=about), counterparts


def _cut(
    decode: Decode, token_ids: list[int], text: str, wording: PersonaWording, statement: str
) -> tuple[list[str], np.ndarray]:
    """Return the block of each piece of a prompt, and the piece of each token."""
    names, starts = zip(*blocks.segments(text, wording, statement), strict=True)
    return list(names), blocks.of_tokens(decode, token_ids, text, list(starts))


def patchers(
    setting: Experiment, counterparts: list[Pairs]
) -> Iterator[tuple[list[int], Patcher, torch.Tensor | None]]:
    """Make patchers that patch z from positions of the source run in at paired base positions.

    Parameters
    ----------
    setting : Experiment
        Statements and model.
    counterparts : list of Pairs
        Position pairs of each statement.

    Yields
    ------
    tuple of list of int, Patcher and Tensor or None
        Indices of some statements; their patcher, over as many last positions as hold all of their
        pairs; and the z to patch in there (None: the source run's own z).
    """
    about = setting.pairs
    for part in batches.parts(range(len(counterparts)), STATEMENTS_AT_ONCE):
        part_pairs = [counterparts[i] for i in part]
        reach = max(p.reach for p in part_pairs)
        base, source = ([prompts[i] for i in part] for prompts in (about.base, about.source))
        patcher = Patcher(
            setting.lm,
            setting.answers,
            base,
            source,
            reach,
            keep=True,
            key=None,
            site=setting.site,
            prefixes=(about.base_prefix, about.source_prefix),
        )
        yield part, patcher, _source_z(patcher, part_pairs, reach)


def mask(counterparts: list[Pairs], reach: int) -> np.ndarray:
    """Mark the paired base positions among the last `reach`: (n_statements, reach), bool."""
    is_patched = np.zeros((len(counterparts), reach), bool)
    for row, aligned_pairs in zip(is_patched, counterparts, strict=True):
        row[aligned_pairs.base] = True
    return is_patched


def _source_z(patcher: Patcher, counterparts: list[Pairs], reach: int) -> torch.Tensor | None:
    """Move the source run's z to the paired base positions; None if all positions are the same."""
    if all((p.base == p.source).all() for p in counterparts):
        return None
    z_indices = torch.arange(reach).repeat(len(counterparts), 1)
    for row, p in zip(z_indices, counterparts, strict=True):
        row[reach + p.base] = torch.as_tensor(reach + p.source)
    source = patcher.z("z")[1]
    return source[:, torch.arange(len(counterparts))[:, None], z_indices]
