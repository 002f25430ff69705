"""Content of metrics/set_sizes.json; all numbers are of the report split."""

from dataclasses import dataclass

from stages.lib.stats import Interval
from stages.lib.stats.auc import Areas
from stages.lib.stats.run_points import ByLabel, Point

CAPTIONS = {
    "set_sizes": "Accuracy by number of heads, ordered by several rules.",
}


@dataclass(frozen=True)
class Ends:
    """Least and greatest value among the random orders; no interval contains their spread."""

    least: float
    greatest: float


@dataclass(frozen=True)
class Smallest:
    """The smallest set that restores honesty on the selection split; None where there is none.

    Attributes
    ----------
    n_heads : int or None
    share : float or None
        Fraction of all heads.
    accuracy, low, high, n, p_correct, p_correct_low, p_correct_high
        As in `Point`.
    minus_source : Interval or None
        Accuracy minus the accuracy of the source run.
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
    """Scores of the order of one rule.

    Attributes
    ----------
    up, down : dict of str to Areas
        ``value``: the areas under the curve. ``difference``: these areas minus the areas of rule
        ``single`` (not for ``single`` itself). The intervals hold for this order; they do not
        include that other statements of the selection split would give another order.
    by_label : dict of str to ByLabel
        Accuracy with the first heads patched, by number of heads.
    n_own : int
        Number of heads that the rule ordered itself; the other heads follow another rule.
    smallest : Smallest
    """

    up: dict[str, Areas]
    down: dict[str, Areas]
    by_label: dict[str, ByLabel]
    n_own: int
    smallest: Smallest


@dataclass(frozen=True)
class RandomRule:
    """Scores of the random orders.

    Attributes
    ----------
    up, down : dict of str to Areas or dict of str to Ends or None
        As in `Rule`. Also ``orders``: least and greatest value of each measure; None where the
        areas were not measured.
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
        Number of heads of the model.
    effect : Interval
        Gain in p_correct with all heads of the model patched.
    runs : dict of str to Point
        ``none``: no head patched in; ``all``: all heads; ``source``: the unpatched source run.
    rules : dict of str to Rule or RandomRule or None
        By rule; None for a rule without an order.
    """

    source: str
    base: str
    n_heads: int
    effect: Interval
    runs: dict[str, Point]
    rules: dict[str, Rule | RandomRule | None]
