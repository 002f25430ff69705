"""What metrics/set_sizes.json holds; its numbers are of the report split."""

from dataclasses import dataclass

from stages.lib.stats import Interval
from stages.lib.stats.areas import Areas
from stages.lib.stats.run_points import ByLabel, Point


@dataclass(frozen=True)
class Ends:
    """Least and greatest among the random orders, whose spread is in no interval."""

    least: float
    greatest: float


@dataclass(frozen=True)
class Smallest:
    """The smallest set that was enough on the selection split; None where there is none.

    Attributes
    ----------
    n_heads : int or None
    share : float or None
        Fraction of all heads.
    accuracy, low, high, n, p_correct, p_correct_low, p_correct_high
        As in `Point`.
    minus_source : Interval or None
        Accuracy minus that of the source run.
    """

    n_heads: int | None = None
    share: float | None = None
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    p_correct: float | None = None
    p_correct_low: float | None = None
    p_correct_high: float | None = None
    minus_source: Interval | None = None


@dataclass(frozen=True)
class Rule:
    """The order of one rule.

    Attributes
    ----------
    up, down : dict of str to Areas
        ``value``, and ``difference``, that minus the area of rule ``single`` (of all other rules).
        Intervals are those of the order at hand: other statements of the selection split would
        give another.
    by_label : dict of str to ByLabel
        Accuracy with the first heads patched, by how many they are.
    n_own : int
        Number of heads that the rule ordered itself; the rest follow another rule.
    smallest : Smallest
    """

    up: dict[str, Areas]
    down: dict[str, Areas]
    by_label: dict[str, ByLabel]
    n_own: int
    smallest: Smallest


@dataclass(frozen=True)
class RandomRule:
    """Random orders.

    Attributes
    ----------
    up, down : dict of str to Areas or dict of str to Ends or None
        As in `Rule`; and ``orders``, the ends of each measure, None where it was not measured.
    n_orders : int
    """

    up: dict[str, Areas | dict[str, Ends] | None]
    down: dict[str, Areas | dict[str, Ends] | None]
    n_orders: int


@dataclass(frozen=True)
class SetSizesMetrics:
    """Accuracy against the number of heads.

    Attributes
    ----------
    source, base : str
        Personas.
    n_heads : int
        Of the model.
    effect : Interval
        p_correct that all heads of the model together add.
    runs : dict of str to Point
        ``none`` and ``all`` heads patched in, and ``source``, unpatched.
    rules : dict of str to Rule or RandomRule or None
        By rule; None for one that could not be made.
    """

    source: str
    base: str
    n_heads: int
    effect: Interval
    runs: dict[str, Point]
    rules: dict[str, Rule | RandomRule | None]
