"""What metrics/confidence.json holds."""

from dataclasses import dataclass

from stages.lib.stats import Interval


@dataclass(frozen=True)
class Run:
    """Accuracy and confidence of one run.

    Attributes
    ----------
    accuracy : dict of str to Interval
        By threshold: of the `n` answers whose confidence reaches it.
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
