"""Places of a prompt: its blocks, its last token, its last positions, and all positions."""

from collections.abc import Sequence
from dataclasses import replace

from stages.lib.patching import blocks
from stages.lib.patching.blocks import BLOCKS, Pairs
from stages.trace.schema import ALL, LAST, LAST_TOKEN


def places(counterparts: list[Pairs], n_last: int) -> dict[str, list[Pairs]]:
    """Sort the paired positions of each statement's two prompts by place.

    Parameters
    ----------
    counterparts : list of Pairs
        All paired positions of each statement.
    n_last : int
        Number of last positions that the paper patches; no prompt is shorter.

    Returns
    -------
    dict of str to list of Pairs
        By place, one element per statement. The last tokens of both prompts are paired and form a
        place of their own; blocks exclude them. The last `n_last` positions are paired by their
        distance from the end, as in the paper. Blocks without a position in any statement are left
        out.
    """
    last_token = [blocks.last(1)] * len(counterparts)
    without_last = [p.only((p.base != -1) & (p.source != -1)) for p in counterparts]
    all_pairs = [blocks.with_last(p) for p in counterparts]
    by_place = {
        block: [p.only(p.block == number) for p in without_last]
        for number, block in enumerate(BLOCKS)
    }
    at_end = [blocks.last(n_last)] * len(counterparts)
    by_place |= {LAST_TOKEN: last_token, LAST.format(n_last): at_end}
    return only(by_place | {ALL: all_pairs}, range(len(counterparts)))


def only(places: dict[str, list[Pairs]], rows: Sequence[int]) -> dict[str, list[Pairs]]:
    """Keep some statements, by their indices, and the places with a position in one of them.

    All places but the blocks are kept even without a statement.
    """
    kept = {name: [pairs[i] for i in rows] for name, pairs in places.items()}
    return {
        name: pairs
        for name, pairs in kept.items()
        if name not in BLOCKS or any(len(p.base) for p in pairs)
    }


def swapped(counterparts: list[Pairs]) -> list[Pairs]:
    """Swap the roles of the two prompts in all pairs."""
    return [replace(p, base=p.source, source=p.base) for p in counterparts]
