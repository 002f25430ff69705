"""What metrics/confidence.json holds."""

from dataclasses import dataclass

from stages.lib.stats import Interval


@dataclass(frozen=True)
class Run:
    """How right and how sure one run is.

    Attributes
    ----------
    accuracy : dict of str to Interval
        By least confidence: of the answers that reach it, which n counts.
    confidence : Interval
        Mean probability of the likelier answer.
    """

    accuracy: dict[str, Interval]
    confidence: Interval


@dataclass(frozen=True)
class ConfidenceMetrics:
    """Every run of `confidence.RUNS` by name, and both personas."""

    source: str
    base: str
    runs: dict[str, Run]
