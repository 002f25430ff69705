"""What metrics/attribution_patching.json holds."""

from dataclasses import dataclass

from stages.lib.stats import Interval


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
    source, base : str
        Personas.
    """

    rank_correlation: Interval
    top: Top
    n_heads: int
    source: str
    base: str
