"""Runs with z patched at some positions only: the last k, or a block of the prompt."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from stages.lib.forward import Readouts
from stages.lib.patching import aligned
from stages.lib.patching.blocks import BLOCKS, Pairs
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.positions.schema import ALL


class Writing(NamedTuple):
    """At which positions a run is patched.

    Attributes
    ----------
    run : str
        ``alone``: the block's; ``left_out``: all but the block's; ``elsewhere``: equally many
        random positions outside the block, or all of these if there are fewer.
    block : str
        One of `BLOCKS`, or `ALL`.
    draw : int
        Number of the random draw, else 0.
    """

    run: str
    block: str
    draw: int


@dataclass(frozen=True)
class Counts:
    """Runs with the last k positions patched, for several k.

    Attributes
    ----------
    pairs : PromptPairs
        The statements.
    counts : list of int
        How many positions.
    written : list of str
        What was patched there: ``window``, ``set``.
    readouts : Readouts
        `patched` of shape (n_counts, n_written, n_statements, 2).
    """

    pairs: PromptPairs
    counts: list[int]
    written: list[str]
    readouts: Readouts


@dataclass(frozen=True)
class Blocks:
    """Runs with blocks of the prompt patched.

    Attributes
    ----------
    pairs : PromptPairs
        The statements.
    n_written : dict of Writing to ndarray of shape (n_statements,), int
        At how many positions each run is patched.
    readouts : Readouts
        `patched` of shape (n_writings, n_statements, 2).
    """

    pairs: PromptPairs
    n_written: dict[Writing, np.ndarray]
    readouts: Readouts


def last(setting: Experiment, patches: dict[str, np.ndarray], counts: list[int]) -> Counts:
    """Patch the source's z into the base run at the last k positions, for several k.

    Parameters
    ----------
    setting : Experiment
        Statements and model.
    patches : dict of str to ndarray of shape (n_layers, n_heads), bool
        Heads that each named patch overwrites.
    counts : list of int
        How many last positions; every prompt has as many.

    Returns
    -------
    Counts

    References
    ----------
    arXiv:2311.15131, appendix B.5.
    """
    most = max(counts)
    wide = replace(setting, config=replace(setting.config, positions=most))
    patcher, n_prompts = wide.patcher(keep=True), len(setting.pairs.base)
    stacked = np.array([*patches.values()], bool).reshape(-1, *setting.shape)
    readouts_of = []
    for count in counts:
        at = np.tile(np.arange(most) >= most - count, (n_prompts, 1))
        readouts_of.append(patcher(stacked, f"last {count}", at=at))
    readouts = replace(readouts_of[0], patched=np.stack([read.patched for read in readouts_of]))
    return Counts(setting.pairs, counts, list(patches), readouts)


def writings(counterparts: list[Pairs], draws: int, seed: int) -> dict[Writing, list[np.ndarray]]:
    """Choose at which of its pairs of positions each statement is patched, in each run.

    Parameters
    ----------
    counterparts : list of Pairs
        Positions of each statement.
    draws : int
        Random draws for each block.
    seed : int
        Seed of the draws.

    Returns
    -------
    dict of Writing to list of ndarray of shape (n_pairs,), bool
        One array per statement. Blocks that have a position in no statement are not in it.
    """
    everywhere = [np.ones(len(p.block), bool) for p in counterparts]
    places = {Writing("alone", ALL, 0): everywhere}
    for number, block in enumerate(BLOCKS):
        inside = [p.block == number for p in counterparts]
        if not any(own.any() for own in inside):
            continue
        places[Writing("alone", block, 0)] = inside
        places[Writing("left_out", block, 0)] = [~own for own in inside]
        for draw in range(draws):
            random = np.random.default_rng([seed, number, draw])
            places[Writing("elsewhere", block, draw)] = [_elsewhere(own, random) for own in inside]
    return places


def at_blocks(
    setting: Experiment,
    patch: np.ndarray,
    counterparts: list[Pairs],
    written: dict[Writing, list[np.ndarray]],
) -> Blocks:
    """Patch the source's z into the base run at some pairs of positions.

    Parameters
    ----------
    setting : Experiment
        Statements and model.
    patch : ndarray of shape (n_layers, n_heads), bool
        Heads to overwrite.
    counterparts : list of Pairs
        Positions of each statement.
    written : dict of Writing to list of ndarray of bool
        From `writings`.

    Returns
    -------
    Blocks
        Without the statements that `aligned.groups` leaves out.
    """
    n = len(setting.pairs.base)
    results, done = np.empty((2 + len(written), n, 2), np.float32), list[int]()
    for part, patcher, z in aligned.patchers(setting, counterparts):
        done += part
        unpatched = patcher(patch[None][:0], "unpatched")
        results[0, part], results[1, part] = unpatched.base, unpatched.source
        for number, (writing, masks) in enumerate(written.items()):
            some = [counterparts[i].only(masks[i]) for i in part]
            at = aligned.mask(some, patcher.base.n_tail)
            results[2 + number, part] = patcher(patch[None], str(writing), z, at).patched[0]
    rows = sorted(done)
    n_written = {w: np.array([masks[i].sum() for i in rows], int) for w, masks in written.items()}
    readouts = Readouts(results[0, rows], results[1, rows], results[2:, rows])
    return Blocks(
        setting.pairs.only(setting.pairs.table["statement_id"][rows]), n_written, readouts
    )


def _elsewhere(inside: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Equally many random places outside as inside, or all of them if there are fewer."""
    outside = np.flatnonzero(~inside)
    drawn = np.zeros_like(inside)
    drawn[random.choice(outside, min(len(outside), int(inside.sum())), replace=False)] = True
    return drawn
