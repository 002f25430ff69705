"""What metrics/transplant.json holds."""

from dataclasses import dataclass
from typing import Self

from stages.lib.stats import NOTHING, Interval
from stages.lib.stats.run_points import ByLabel, Count, Difference, Point

CAPTIONS = {
    "transplant": (
        "Accuracy with the head set patched in both directions, and with random "
        "sets of equal size; accuracy on each topic."
    ),
}


@dataclass(frozen=True)
class Rank:
    """Rank of the head set among random sets of its size, by one measure, on the same statements.

    Attributes
    ----------
    n_sets : int
        Number of random sets.
    own : float or None
        Value of the head set. None if nothing was run, like all numbers below.
    mean, median, max : float or None
        Mean, median and maximum over random sets.
    p05, p95 : float or None
        Percentiles 5 and 95 of random sets.
    as_good : Interval
        Fraction of random sets that are as good as the head set: at most `stats.MARGIN` below it.
        The interval is over sets; n counts sets.
    lead : Interval
        The head set minus the mean of the random sets, paired by statement.
    p_value : float or None
        Fraction of sets, the head set included, that are as good as the head set.
    p_least : float or None
        The smallest p-value attainable with this number of sets.
    """

    n_sets: int
    own: float | None
    mean: float | None
    median: float | None
    max: float | None
    p05: float | None
    p95: float | None
    as_good: Interval
    lead: Interval
    p_value: float | None
    p_least: float | None

    @classmethod
    def of_none(cls, n_sets: int) -> Self:
        """Make the rank of a set for which nothing was run."""
        return cls(n_sets, None, None, None, None, None, None, NOTHING, NOTHING, None, None)


@dataclass(frozen=True)
class Sharing:
    """Means over the random sets that have equally many heads in common with the head set."""

    n_sets: int
    accuracy: float
    p_correct: float


@dataclass(frozen=True)
class Ranks:
    """Ranks of the head set among random sets of one kind.

    Attributes
    ----------
    accuracy, p_correct : Rank
        Rank by accuracy and by mean p_correct.
    by_label : ByLabel or None
        Accuracy with random sets, by label, mean over sets; None if nothing was run.
    one_answer : int or None
        Number of random sets with at least 90 % of answers the same word.
    shared : dict of str to Sharing
        By number of heads that a random set has in common with the head set.
    """

    accuracy: Rank
    p_correct: Rank
    by_label: ByLabel | None
    one_answer: int | None
    shared: dict[str, Sharing]


@dataclass(frozen=True)
class TransplantMetrics:
    """The head set on the report split.

    Attributes
    ----------
    n_heads : int or None
        Heads in the set; None where no statement is known.
    known : Count
        Known statements.
    by_topic : dict of str to dict of str to Point
        By topic, ``all`` included, then by run of `roles.RUNS`.
    by_label : dict of str to ByLabel
        By run, over all topics.
    effect : dict of str to Difference
        ``patched - base`` and ``reverse - source``.
    random, elsewhere : Ranks
        Ranks among random sets of the same layers, and of other layers.
    """

    n_heads: int | None
    known: Count
    by_topic: dict[str, dict[str, Point]]
    by_label: dict[str, ByLabel]
    effect: dict[str, Difference]
    random: Ranks
    elsewhere: Ranks
