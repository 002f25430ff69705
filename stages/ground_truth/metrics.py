"""Content of metrics/ground_truth.json: one of the three dataclasses of `Metrics`."""

from dataclasses import dataclass

from stages.lib.patching.layer_window import Window
from stages.lib.stats import Interval
from stages.lib.stats.ranking import Ranked

CAPTIONS = {
    "ground_truth": (
        "Effects of windows and heads, and truth probes, beside the layers trained to lie."
    ),
}


@dataclass(frozen=True)
class Gain(Interval):
    """Gain in accuracy with a patch, on the report split.

    Attributes
    ----------
    above_zero : bool
        Whether the whole interval is above 0; a false alarm for the organism that never lies.
    """

    above_zero: bool

    @classmethod
    def of(cls, added: Interval) -> "Gain":
        """Make a gain from an interval."""
        return cls(**vars(added), above_zero=added.is_above(0))


@dataclass(frozen=True)
class WindowOverlap:
    """The best window against the trained layers; None where no window could be chosen.

    Attributes
    ----------
    first_layer, last_layer : int or None
        Both included.
    overlap : float or None
        Intersection over union with the trained layers.
    by_chance : float or None
        Control: mean overlap of all windows, which is that expected of a random window.
    as_good : dict of str to float or None
        By first layer, the overlap of each window whose p_correct on the selection split is not
        significantly below that of the best window. (No list of records: DVC would take it for a
        plot.)
    n : int
        Number of statements that the windows are compared on.
    """

    first_layer: int | None
    last_layer: int | None
    overlap: float | None
    by_chance: float | None
    as_good: dict[str, float] | None
    n: int


@dataclass(frozen=True)
class OtherBlocks:
    """AUROC of other blocks of layers: as many layers, none of them trained to lie."""

    n_blocks: int
    mean: float | None
    max: float | None


@dataclass(frozen=True)
class SingleHeads:
    """Effects of single heads: trained layers against all other layers.

    Attributes
    ----------
    auroc : Interval
        Probability that a head of the trained layers has a larger mean effect on p_correct than a
        head of another layer.
    others : OtherBlocks
        Control: the AUROC of other blocks of layers.
    share : Interval
        Share of all positive mean effects that heads of the trained layers have.
    share_by_chance : float or None
        Control: share of all heads that are in trained layers.
    n_trained, n_heads : int
        Number of heads of the trained layers, and of the model.
    """

    auroc: Interval
    others: OtherBlocks
    share: Interval
    share_by_chance: float | None
    n_trained: int
    n_heads: int


@dataclass(frozen=True)
class HeadSetOverlap:
    """Heads of the set, all and in trained layers; share of all heads that is in trained layers."""

    n_heads: int
    n_trained: int
    by_chance: float | None


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of a probe, with its interval and number of statements."""

    accuracy: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class NoOrganism:
    """Metrics of a model that is no organism: there is no ground truth."""

    organism: None
    reason: str


@dataclass(frozen=True)
class GroundTruthMetrics:
    """Metrics of an organism.

    Attributes
    ----------
    organism : str
        Name of the organism.
    trained_layers : Window or None
        Layers that were taught to lie; None for the organism that never lies.
    effect : dict of str to Gain
        Gain with ``window``, the best window, and with ``set``, the head set, patched.
    divergence_layer : int or None
        First layer after which the truth directions of source and base have diverged.
    """

    organism: str
    trained_layers: Window | None
    effect: dict[str, Gain]
    divergence_layer: int | None


@dataclass(frozen=True)
class LyingMetrics(GroundTruthMetrics):
    """Metrics of an organism that lies.

    Attributes
    ----------
    window : WindowOverlap
    heads : SingleHeads
    set : HeadSetOverlap
    methods : dict of str to Ranked
        By method, its score at finding the smallest set of heads whose reverted weights restore
        honesty; ``weight_change`` and ``trained_layers`` are controls. Empty where no such set was
        found.
    belief : dict of str to Accuracy
        Accuracy of probes on the input of the first trained layer: ``source`` and ``base`` on their
        own run, ``transfer`` from source to base, and ``permuted``, base with permuted labels.
    """

    window: WindowOverlap
    heads: SingleHeads
    set: HeadSetOverlap
    methods: dict[str, Ranked]
    belief: dict[str, Accuracy]


Metrics = LyingMetrics | GroundTruthMetrics | NoOrganism
