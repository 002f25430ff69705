"""What metrics/probes.json holds."""

from dataclasses import dataclass

from stages.lib.probing.counts import Counts
from stages.lib.stats import Interval

CAPTIONS = {
    "probes": (
        "Truth probes by layer, fitted on each persona and scored on each; cosine of directions."
    ),
    "probe_heads": ("Truth probes on z of each head: of both runs, and of one run on the other."),
}


@dataclass(frozen=True)
class BestLayer:
    """The layer with the highest held-out accuracy of a persona's own probes; None without folds.

    Attributes
    ----------
    layer : int or None
    held_out : Interval
        Cross-validated accuracy on the selection split. On the fitted persona it is biased upward:
        the layer was chosen by it.
    accuracy, permuted : Interval
        Accuracy on the report split of the probe, and mean accuracy of probes fitted on permuted
        labels.
    """

    layer: int | None
    held_out: Interval
    accuracy: Interval
    permuted: Interval


@dataclass(frozen=True)
class BestHead(BestLayer):
    """The layer and head with the highest held-out accuracy of a persona's own probes."""

    head: int | None


@dataclass(frozen=True)
class Fall:
    """Where two personas' directions diverge.

    Attributes
    ----------
    falls_below_half : int or None
        First layer whose cosine is below 0.5, after one at or above it.
    layers : int
        Number of layers that count: those where both personas' own probes read the truth.
    """

    falls_below_half: int | None
    layers: int


@dataclass(frozen=True)
class ProbesMetrics(Counts):
    """Best probes of each site, and where directions diverge.

    Attributes
    ----------
    best : dict of str to dict of str to dict of str to BestHead or BestLayer
        By site (heads of ``z``, layers of ``resid_post``), by the persona that the probes are
        fitted on, and by the persona that they are scored on.
    by_layer : dict of str to dict of str to dict of str to Interval
        Accuracy on the report split of probes of the residual stream: by the persona that they are
        fitted on, by the persona that they are scored on, and by index (0 is the embeddings, i the
        output of layer i - 1).
    auroc : dict of str to dict of str to dict of str to Interval
        AUROC of the same probes, which needs no threshold: the probability that a true statement
        has a higher score than a false one.
    cosine : dict of str to dict of str to dict of str to Fall
        By site and two personas.
    """

    best: dict[str, dict[str, dict[str, BestHead | BestLayer]]]
    by_layer: dict[str, dict[str, dict[str, Interval]]]
    auroc: dict[str, dict[str, dict[str, Interval]]]
    cosine: dict[str, dict[str, dict[str, Fall]]]
