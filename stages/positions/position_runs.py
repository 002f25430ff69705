"""Runs with z patched in at some positions only: the last k, or a block of the prompt."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from stages.lib.forward import Readouts
from stages.lib.patching import aligned
from stages.lib.patching.blocks import BLOCKS, Pairs
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.positions.schema import ALL


class Choice(NamedTuple):
    """A choice of positions at which a run is patched.

    Attributes
    ----------
    run : str
        ``alone``: the positions of the block; ``left_out``: all positions outside the block;
        ``elsewhere``: as many random positions outside the block as in it, or all of them if there
        are fewer.
    block : str
        One of `BLOCKS`, or `ALL`.
    draw : int
        Number of the random draw; 0 for runs without one.
    """

    run: str
    block: str
    draw: int


@dataclass(frozen=True)
class CountRuns:
    """Runs with the last k positions patched, for several k.

    Attributes
    ----------
    pairs : PromptPairs
        The statements.
    counts : list of int
        Numbers of last positions.
    patched : list of str
        Names of the patches: ``window``, ``set``.
    readouts : Readouts
        `patched` of shape (n_counts, n_patches, n_statements, 2).
    """

    pairs: PromptPairs
    counts: list[int]
    patched: list[str]
    readouts: Readouts


@dataclass(frozen=True)
class Blocks:
    """Runs with blocks of the prompt patched.

    Attributes
    ----------
    pairs : PromptPairs
        The statements.
    n_patched : dict of Choice to ndarray of shape (n_statements,), int
        Number of patched positions of each statement, by run.
    readouts : Readouts
        `patched` of shape (n_choices, n_statements, 2).
    """

    pairs: PromptPairs
    n_patched: dict[Choice, np.ndarray]
    readouts: Readouts


def last_runs(setting: Experiment, patches: dict[str, np.ndarray], counts: list[int]) -> CountRuns:
    """Patch the source's z into the base run at the last k positions, for several k.

    Parameters
    ----------
    setting : Experiment
        Statements and model.
    patches : dict of str to ndarray of shape (n_layers, n_heads), bool
        Heads that each named patch overwrites.
    counts : list of int
        Numbers of last positions; no prompt is shorter.

    Returns
    -------
    CountRuns

    References
    ----------
    arXiv:2311.15131, appendix B.5.
    """
    n_positions = max(counts)
    wide_setting = replace(setting, config=replace(setting.config, positions=n_positions))
    patcher, n_prompts = wide_setting.patcher(keep=True), len(setting.pairs.base)
    stacked_patches = np.array([*patches.values()], bool).reshape(-1, *setting.shape)
    readouts_of = []
    for count in counts:
        at = np.tile(np.arange(n_positions) >= n_positions - count, (n_prompts, 1))
        readouts_of.append(patcher(stacked_patches, f"last {count}", at=at))
    readouts = replace(readouts_of[0], patched=np.stack([read.patched for read in readouts_of]))
    return CountRuns(setting.pairs, counts, list(patches), readouts)


def choices(counterparts: list[Pairs], draws: int, seed: int) -> dict[Choice, list[np.ndarray]]:
    """Choose the pairs of positions at which each statement is patched, in each run.

    Parameters
    ----------
    counterparts : list of Pairs
        Paired positions of each statement.
    draws : int
        Random draws per block.
    seed : int
        Seed of the draws.

    Returns
    -------
    dict of Choice to list of ndarray of shape (n_pairs,), bool
        One mask per statement. A block without a position in any statement has no entry.
    """
    everywhere = [np.ones(len(p.block), bool) for p in counterparts]
    position_masks = {Choice("alone", ALL, 0): everywhere}
    for number, block in enumerate(BLOCKS):
        inside = [p.block == number for p in counterparts]
        if not any(in_block.any() for in_block in inside):
            continue
        position_masks[Choice("alone", block, 0)] = inside
        position_masks[Choice("left_out", block, 0)] = [~in_block for in_block in inside]
        for draw in range(draws):
            random = np.random.default_rng([seed, number, draw])
            position_masks[Choice("elsewhere", block, draw)] = [
                _elsewhere(in_block, random) for in_block in inside
            ]
    return position_masks


def at_blocks(
    setting: Experiment,
    patch: np.ndarray,
    counterparts: list[Pairs],
    choices: dict[Choice, list[np.ndarray]],
) -> Blocks:
    """Patch the source's z into the base run at some pairs of positions.

    Parameters
    ----------
    setting : Experiment
        Statements and model.
    patch : ndarray of shape (n_layers, n_heads), bool
        Heads to patch.
    counterparts : list of Pairs
        Paired positions of each statement.
    choices : dict of Choice to list of ndarray of bool
        Masks of the pairs to patch, from `choices`.

    Returns
    -------
    Blocks
    """
    n = len(setting.pairs.base)
    results = np.empty((2 + len(choices), n, 2), np.float32)
    for part, patcher, z in aligned.patchers(setting, counterparts):
        unpatched = patcher(patch[None][:0], "unpatched")
        results[0, part], results[1, part] = unpatched.base, unpatched.source
        for number, (choice, masks) in enumerate(choices.items()):
            chosen_pairs = [counterparts[i].only(masks[i]) for i in part]
            at = aligned.mask(chosen_pairs, patcher.base.n_tail)
            results[2 + number, part] = patcher(patch[None], str(choice), z, at).patched[0]
    n_patched = {c: np.array([mask.sum() for mask in masks], int) for c, masks in choices.items()}
    return Blocks(setting.pairs, n_patched, Readouts(results[0], results[1], results[2:]))


def _elsewhere(inside: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw as many positions outside the block as inside, or all of them if there are fewer."""
    outside = np.flatnonzero(~inside)
    drawn_mask = np.zeros_like(inside)
    drawn_mask[random.choice(outside, min(len(outside), int(inside.sum())), replace=False)] = True
    return drawn_mask
