"""What metrics/single_heads.json holds."""

from dataclasses import dataclass

from stages.lib.stats.run_points import Count, Point


@dataclass(frozen=True)
class SingleHeadsMetrics:
    """The run that heads are patched into; the effect of each head is in the plot table alone.

    Attributes
    ----------
    runs : dict of str to Point
        ``base``, the unpatched run.
    known : Count
        Known statements.
    source, base : str
        Personas.
    """

    runs: dict[str, Point]
    known: Count
    source: str
    base: str
