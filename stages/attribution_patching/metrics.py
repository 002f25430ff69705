"""What metrics/attribution_patching.json holds."""

from dataclasses import dataclass

from stages.lib.patching.patch import Head
from stages.lib.stats import Interval

CAPTIONS = {
    "attribution_patching": (
        "Attribution patching: estimated and true effect of each head's patch."
    ),
}

LEAST = 0.1
"""Fraction of the largest true effect; below it, the wrong sign of an estimate is ignored."""


@dataclass(frozen=True)
class Top(Interval):
    """Fraction of the top heads by true effect that are also top heads by estimate.

    Attributes
    ----------
    n_heads : int
        Number of top heads: a tenth of all heads.
    by_chance : float or None
        Expected fraction for a random order.
    """

    n_heads: int
    by_chance: float | None


@dataclass(frozen=True)
class AttributionPatchingMetrics:
    """Agreement of two orders of heads: by mean estimated and by mean true effect.

    Attributes
    ----------
    rank_correlation : Interval
        Spearman's rank correlation.
    top : Top
        Overlap of the two orders at the top.
    n_heads : int
        Heads of the model.
    wrong_sign : list of Head
        Heads whose mean true effect is, in absolute value, at least `LEAST` of the largest, and
        whose mean estimate has the opposite sign.
    source, base : str
        Personas.
    """

    rank_correlation: Interval
    top: Top
    n_heads: int
    wrong_sign: list[Head]
    source: str
    base: str
