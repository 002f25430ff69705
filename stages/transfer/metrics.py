"""What metrics/transfer.json holds."""

from dataclasses import dataclass

from stages.lib.probing.counts import Counts
from stages.lib.stats import Interval

CAPTIONS = {
    "transfer": (
        "Several kinds of truth probe by layer, and on topics and polarities that "
        "they were not fitted on."
    ),
}


@dataclass(frozen=True)
class Control:
    """Accuracy of probes that are fitted and scored on permuted labels.

    Attributes
    ----------
    mean, max : float
        Over draws.
    p : float
        P-value: fraction of draws, the true labels included, that are at least as accurate as the
        true labels.
    draws : int
    """

    mean: float
    max: float
    p: float
    draws: int


@dataclass(frozen=True)
class Spread:
    """Mean, least and greatest of some draws."""

    mean: float
    min: float
    max: float


@dataclass(frozen=True)
class Method:
    """One method's probe of one persona at its best layer, beside its controls.

    Attributes
    ----------
    layer : int
    held_out : Interval
        Cross-validated accuracy on the selection split; it chose the layer, and is biased upward by
        the choice.
    accuracy : Interval
        On the report split.
    permuted : Control or None
        Labels of both splits are permuted within topics. None if labels decide the sign of the
        probe alone, or without draws.
    fit_on_permuted : Spread or None
        The same fits, scored on true labels: where truth is the main axis of variation, a fit on
        any labels finds it, with either sign.
    transfer : dict of str to Interval
        Accuracy by the other persona that the probe is scored on.
    topics : dict of str to Interval
        Accuracy of single-topic probes on their ``own`` topic, on its ``negation`` (not for methods
        that are fitted on both) and on ``other_topics``.
    polarity : dict of str to dict of str to Interval
        Accuracy by the polarity fitted on (``plain``, ``negated``, ``both``), then by the polarity
        scored (``plain``, ``negated``).
    """

    layer: int
    held_out: Interval
    accuracy: Interval
    permuted: Control | None
    fit_on_permuted: Spread | None
    transfer: dict[str, Interval]
    topics: dict[str, Interval]
    polarity: dict[str, dict[str, Interval]]


@dataclass(frozen=True)
class Crossing:
    """The layer after which a cosine falls below a level.

    Attributes
    ----------
    value : int or None
        None if the cosine does not fall.
    low, high : int or None
        Ends of its interval; None for an end beyond the last layer, or without an interval.
    never : float or None
        Fraction of draws in which the cosine does not fall; None without draws.
    always_below : bool
        Whether the cosine is below the level in every compared layer, so that it cannot fall.
    """

    value: int | None
    low: int | None
    high: int | None
    never: float | None
    always_below: bool


@dataclass(frozen=True)
class Divergence:
    """Where the cosine of two personas' directions falls below 0.5, 0 and -0.5.

    Layers are those of the model, from 0. `layers` is the number of places in the residual stream
    that count, because probes of both personas read the truth there.
    """

    layers: int
    divergence_layer: Crossing
    turning_layer: Crossing
    opposite_layer: Crossing


@dataclass(frozen=True)
class TransferMetrics(Counts):
    """Probes of several methods, and their transfer.

    Attributes
    ----------
    methods : dict of str to dict of str to Method or None
        By method and persona; None where nothing could be fitted.
    bag_of_tokens : dict of str to Interval
        Accuracy of the bag of words, fitted on all topics: ``all``, and by topic.
    divergence : dict of str to dict of str to dict of str to Divergence
        By method, first persona and second persona.
    """

    methods: dict[str, dict[str, Method | None]]
    bag_of_tokens: dict[str, Interval]
    divergence: dict[str, dict[str, dict[str, Divergence]]]
