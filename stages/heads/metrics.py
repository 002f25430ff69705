"""What metrics/heads.json holds."""

from dataclasses import dataclass

from stages.lib.stats.run_points import Point


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
        Fraction of the window's gain in p_correct; None where the window gains nothing.
    """

    size: int
    layer: int | None
    head: int | None
    recovered: float | None


@dataclass(frozen=True)
class SetSize:
    """How large the chosen set is: what other stages read.

    Attributes
    ----------
    n_heads : int or None
        Heads in the set; None where there is no best window to search in.
    share_of_all_heads : float or None
        Fraction of the model's heads.
    """

    n_heads: int | None
    share_of_all_heads: float | None


@dataclass(frozen=True)
class HeadsMetrics(SetSize):
    """The chosen set.

    Attributes
    ----------
    set : Step
        The search's last step.
    window, base : Point
        All heads of the best window patched in, and none.
    """

    set: Step
    window: Point
    base: Point


@dataclass(frozen=True)
class NoHeads(SetSize):
    """Why there is no set, in `chosen_by`."""

    chosen_by: str
