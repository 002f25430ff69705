"""Content of metrics/single_heads.json."""

from dataclasses import dataclass

from stages.lib.stats.run_points import Count, Point


@dataclass(frozen=True)
class SingleHeadsMetrics:
    """The run that heads are patched into; the effects of the heads are in the plot table.

    Attributes
    ----------
    runs : dict of str to Point
        ``base``: the unpatched base run.
    known : Count
        Known statements.
    source, base : str
        Personas.
    """

    runs: dict[str, Point]
    known: Count
    source: str
    base: str
