"""What metrics/transfer.json holds."""

from dataclasses import dataclass

from stages.lib.probing.counts import Counts
from stages.lib.stats import Interval


@dataclass(frozen=True)
class Control:
    """Accuracy of fits on permuted labels, on permuted labels.

    Attributes
    ----------
    mean, max : float
        Over draws.
    p : float
        Fraction of draws, the true labels included, that are as good as the true labels.
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
        Labels of both splits are permuted within topics. None where only the sign of the probe
        depends on labels, or there are no draws.
    fit_on_permuted : Spread or None
        The same fits, scored on true labels: where truth is the main axis of variation, any labels
        find it, with either sign.
    transfer : dict of str to Interval
        By the other persona that it is scored on.
    topics : dict of str to Interval
        Probes of single topics, scored on their ``own``, on its ``negation`` (but of methods that
        are fitted on both) and on ``other_topics``.
    polarity : dict of str to dict of str to Interval
        By what was fitted on, and by what is scored: ``plain``, ``negated``, ``both``.
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
        Its interval; None where it ends beyond the last layer, or there is none.
    never : float or None
        Fraction of draws in which the cosine does not fall; None without draws.
    """

    value: int | None
    low: int | None
    high: int | None
    never: float | None


@dataclass(frozen=True)
class Parting:
    """Where the cosine of two personas' directions falls below 0.5, 0 and -0.5.

    Layers are those of the model, from 0; `layers` says how many count.
    """

    layers: int
    parting_layer: Crossing
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
    parting : dict of str to dict of str to dict of str to Parting
        By method and two personas.
    """

    methods: dict[str, dict[str, Method | None]]
    bag_of_tokens: dict[str, Interval]
    parting: dict[str, dict[str, dict[str, Parting]]]
