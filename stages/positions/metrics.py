"""What metrics/positions.json holds."""

from dataclasses import dataclass

from stages.lib.patching.layer_window import Window
from stages.lib.stats.run_points import Count, Difference, Point

CAPTIONS = {
    "positions": (
        "P(correct) by number of last positions patched; accuracy by block of the prompt."
    ),
}


@dataclass(frozen=True)
class BlockPoint(Point):
    """A run patched in a block of the prompt; `positions` is the mean number of positions."""

    positions: float | None


@dataclass(frozen=True)
class Unpatched:
    """Both unpatched runs."""

    source: Point
    base: Point


@dataclass(frozen=True)
class PositionsMetrics:
    """Effects of patches at some positions of the prompt.

    Attributes
    ----------
    source, base : str
        Personas.
    counts : dict of str to dict of str to Point
        By patched heads (``window``, ``set``) and number of last positions.
    blocks : dict of str to dict of str to BlockPoint or dict of str to Difference
        By block of the prompt, then by run: ``alone``, ``left_out``, ``elsewhere``; and
        ``difference``: ``alone - base``, ``all - left_out`` and ``alone - elsewhere``.
    unpatched : dict of str to Unpatched
        By sweep: ``counts``, and ``blocks``, whose runs are over the statements whose blocks were
        found in both prompts.
    known : dict of str to Count
        Statements of each of these sweeps.
    window : Window or None
        The best window; None where there is none.
    n_heads : int
        Heads in the head set.
    """

    source: str
    base: str
    counts: dict[str, dict[str, Point]]
    blocks: dict[str, dict[str, BlockPoint | dict[str, Difference]]]
    unpatched: dict[str, Unpatched]
    known: dict[str, Count]
    window: Window | None
    n_heads: int
