"""What metrics/attribution_patching.json holds."""

from dataclasses import dataclass

from stages.lib.patching.patch import Head
from stages.lib.stats import Interval

LEAST = 0.1
"""Share of the largest true effect; of a head with less, a wrong sign does not matter."""


@dataclass(frozen=True)
class Top(Interval):
    """Fraction of the top heads by true effect that are also top heads by estimate.

    Attributes
    ----------
    n_heads : int
        Top heads: a tenth of all.
    by_chance : float or None
        The fraction in a random order.
    """

    n_heads: int
    by_chance: float | None


@dataclass(frozen=True)
class AttributionPatchingMetrics:
    """Agreement of the orders of heads by mean estimated and by mean true effect.

    Attributes
    ----------
    rank_correlation : Interval
        Spearman's.
    top : Top
        Overlap of the two orders at the top.
    n_heads : int
        Heads of the model.
    wrong_sign : list of Head
        Heads with a mean true effect of at least `LEAST` of the largest, by size, and an estimate
        of the other sign.
    source, base : str
        Personas.
    """

    rank_correlation: Interval
    top: Top
    n_heads: int
    wrong_sign: list[Head]
    source: str
    base: str
