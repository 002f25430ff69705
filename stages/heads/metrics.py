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
    kept : float or None
        Share of the window's gain of truth; None where the window gains nothing.
    """

    size: int
    layer: int | None
    head: int | None
    kept: float | None


@dataclass(frozen=True)
class HeadsMetrics:
    """The chosen set, beside all heads of the window, and none.

    Attributes
    ----------
    n_heads : int
        Heads in the set.
    share_of_all_heads : float
        Of the model's.
    set : Step
        The search's last step.
    window, base : Point
        All heads of the best window patched in, and none.
    """

    n_heads: int
    share_of_all_heads: float
    set: Step
    window: Point
    base: Point


@dataclass(frozen=True)
class NoHeads:
    """Why there is no set."""

    n_heads: None
    share_of_all_heads: None
    chosen_by: str
