"""The places of a prompt: its blocks, its last token, its last positions, and all of them."""

from dataclasses import replace

from stages.lib.patching import blocks
from stages.lib.patching.blocks import BLOCKS, Pairs
from stages.trace.schema import ALL, LAST, LAST_TOKEN


def places(counterparts: list[Pairs], n_last: int) -> dict[str, list[Pairs]]:
    """Say which positions of each statement's two prompts are in which place.

    Parameters
    ----------
    counterparts : list of Pairs
        All positions that are paired, of each statement.
    n_last : int
        How many last positions the paper's patch writes; every prompt has as many.

    Returns
    -------
    dict of str to list of Pairs
        By place, one element per statement. The last tokens of both prompts are a pair and a place
        of their own, whatever block they are in; a block is without them. The last `n_last`
        positions are paired by their distance from the end, as in the paper. Places that have no
        position in any statement are left out.
    """
    last_token = [blocks.last(1)] * len(counterparts)
    rest = [p.only((p.base != -1) & (p.source != -1)) for p in counterparts]
    everywhere = [blocks.with_last(p) for p in counterparts]
    every = {
        block: [p.only(p.block == number) for p in rest] for number, block in enumerate(BLOCKS)
    }
    at_end = [blocks.last(n_last)] * len(counterparts)
    every |= {LAST_TOKEN: last_token, LAST.format(n_last): at_end}
    every |= {ALL: everywhere}
    return {name: pairs for name, pairs in every.items() if any(p.reach for p in pairs)}


def swapped(counterparts: list[Pairs]) -> list[Pairs]:
    """The same pairs with the two prompts in each other's role."""
    return [replace(p, base=p.source, source=p.base) for p in counterparts]
