"""What metrics/confidence.json holds."""

from dataclasses import dataclass

from stages.lib.stats import Interval

CAPTIONS = {
    "confidence": "Accuracy of answers above a confidence, patched and unpatched.",
}


@dataclass(frozen=True)
class RunConfidence:
    """Accuracy and confidence of one run.

    Attributes
    ----------
    accuracy : dict of str to Interval
        By threshold: accuracy of the `n` answers whose confidence reaches the threshold.
    confidence : Interval
        Mean probability of the more probable answer.
    """

    accuracy: dict[str, Interval]
    confidence: Interval


@dataclass(frozen=True)
class ConfidenceMetrics:
    """Both personas, and every run of `roles.RUNS` by name."""

    source: str
    base: str
    runs: dict[str, RunConfidence]
