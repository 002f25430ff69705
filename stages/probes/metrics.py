"""What metrics/probes.json holds."""

from dataclasses import dataclass

from stages.lib.probing.counts import Counts
from stages.lib.stats import Interval


@dataclass(frozen=True)
class BestLayer:
    """The layer where a persona's own probes read the truth best; None where there were no folds.

    Attributes
    ----------
    layer : int or None
    held_out : Interval
        Cross-validated accuracy on the selection split. On the persona itself it chose the layer,
        and is biased upward by the choice.
    accuracy, permuted : Interval
        Accuracy on the report split of the probe, and of those fitted on permuted labels.
    """

    layer: int | None
    held_out: Interval
    accuracy: Interval
    permuted: Interval


@dataclass(frozen=True)
class BestHead(BestLayer):
    """The same of a head of that layer."""

    head: int | None


@dataclass(frozen=True)
class Fall:
    """Where two personas' directions diverge.

    Attributes
    ----------
    falls_below_half : int or None
        First layer whose cosine is below 0.5, after one at or above it.
    layers : int
        How many layers count: those where both personas' own probes read the truth.
    """

    falls_below_half: int | None
    layers: int


@dataclass(frozen=True)
class ProbesMetrics(Counts):
    """Best probes of each site, and where directions diverge.

    Attributes
    ----------
    best : dict of str to dict of str to dict of str to BestHead or BestLayer
        By site (heads of ``z``, layers of ``resid_post``), the persona that probes are fitted on,
        and the one that they are scored on.
    by_layer : dict of str to dict of str to dict of str to Interval
        Accuracy on the report split of probes of the residual stream: by the persona that they are
        fitted on, the one that they are scored on, and the index (0 is the embeddings, i the output
        of layer i - 1).
    auroc : dict of str to dict of str to dict of str to Interval
        The same, wherever the threshold is: the chance that a true statement has a higher score
        than a false one.
    cosine : dict of str to dict of str to dict of str to Fall
        By site and two personas.
    """

    best: dict[str, dict[str, dict[str, BestHead | BestLayer]]]
    by_layer: dict[str, dict[str, dict[str, Interval]]]
    auroc: dict[str, dict[str, dict[str, Interval]]]
    cosine: dict[str, dict[str, dict[str, Fall]]]
