"""What metrics/transplant.json holds."""

from dataclasses import dataclass
from typing import Self

from stages.lib.stats import NOTHING, Interval
from stages.lib.stats.run_points import Count, Difference, Point


@dataclass(frozen=True)
class Rank:
    """The head set among random sets of its size, by one measure, all on the same statements.

    Attributes
    ----------
    n_sets : int
        Random sets.
    own : float or None
        What the head set reaches; None where nothing was run, as in all that follow.
    mean, max : float or None
        What random sets reach, on average and at most.
    lead : Interval
        The head set minus the mean of the random sets, statement by statement.
    p_value : float or None
        Share of sets, the head set included, that are as good as the head set.
    p_least : float or None
        The smallest p value that so many sets can give.
    """

    n_sets: int
    own: float | None
    mean: float | None
    max: float | None
    lead: Interval
    p_value: float | None
    p_least: float | None

    @classmethod
    def of_none(cls, n_sets: int) -> Self:
        """Nothing was run."""
        return cls(n_sets, None, None, None, NOTHING, None, None)


@dataclass(frozen=True)
class Ranks:
    """By accuracy and by mean p_correct."""

    accuracy: Rank
    p_correct: Rank


@dataclass(frozen=True)
class TransplantMetrics:
    """What the head set does on the report split.

    Attributes
    ----------
    n_heads : int or None
        Heads in the set; None where no statement is known.
    known : Count
        Known statements.
    by_topic : dict of str to dict of str to Point
        By topic, ``all`` included, then by run: those of `runs.RUNS`.
    effect : dict of str to Difference
        ``patched - base`` and ``reverse - source``.
    random, elsewhere : Ranks
        Among random sets of the set's own layers, and of the other layers.
    """

    n_heads: int | None
    known: Count
    by_topic: dict[str, dict[str, Point]]
    effect: dict[str, Difference]
    random: Ranks
    elsewhere: Ranks
