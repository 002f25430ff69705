"""What metrics/heads.json holds."""

from dataclasses import dataclass

from stages.lib.stats.run_points import Point

CAPTIONS = {
    "heads": (
        "P(correct) gained by each head of the best window alone, and lost by "
        "leaving it out; accuracy as the head set grows."
    ),
}


@dataclass(frozen=True)
class Step(Point):
    """A set of heads that the greedy search went through.

    Attributes
    ----------
    size : int
        Heads in the set.
    layer, head : int or None
        The head that was added last; None in the empty set.
    recovered : float or None
        Fraction of the window's gain in p_correct that the set recovers; None if the window gains
        nothing.
    """

    size: int
    layer: int | None
    head: int | None
    recovered: float | None


@dataclass(frozen=True)
class SetSize:
    """Size of the chosen set; other stages read only this.

    Attributes
    ----------
    n_heads : int or None
        Heads in the set; None without a best window to search in.
    share_of_all_heads : float or None
        Size of the set as a fraction of the model's heads.
    """

    n_heads: int | None
    share_of_all_heads: float | None


@dataclass(frozen=True)
class HeadsMetrics(SetSize):
    """The chosen set.

    Attributes
    ----------
    set : Step
        The last step of the search.
    window, base : Point
        Runs with all heads of the best window patched, and without a patch.
    """

    set: Step
    window: Point
    base: Point


@dataclass(frozen=True)
class NoHeads(SetSize):
    """Metrics without a set; `chosen_by` says why there is none."""

    chosen_by: str
