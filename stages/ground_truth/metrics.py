"""What metrics/ground_truth.json holds: one of the three dataclasses of `Metrics`."""

from dataclasses import dataclass

from stages.lib.stats import Interval
from stages.lib.stats.ranking import Ranked
from stages.lib.stats.windows import Window


@dataclass(frozen=True)
class Gain(Interval):
    """Accuracy that a patch adds on the report split.

    Attributes
    ----------
    above_zero : bool
        Whether all of the interval is; for the organism that never lies, a false alarm.
    """

    above_zero: bool

    @classmethod
    def of(cls, added: Interval) -> "Gain":
        """Look where the interval begins."""
        return cls(**vars(added), above_zero=added.low is not None and added.low > 0)


@dataclass(frozen=True)
class BestWindow:
    """The best window against the planted layers; None where no window was chosen.

    Attributes
    ----------
    first_layer, last_layer : int or None
        Both included.
    overlap : float or None
        Intersection over union with the planted layers.
    by_chance : float or None
        Control: its mean over all windows, what a window drawn at random has.
    as_good : dict of str to float or None
        By first layer, the overlap of each window whose p_correct on the selection split is not
        below that of the best by more than chance. (No list of records: DVC would take it for a
        plot.)
    n : int
        Statements that the windows are compared on.
    """

    first_layer: int | None
    last_layer: int | None
    overlap: float | None
    by_chance: float | None
    as_good: dict[str, float] | None
    n: int


@dataclass(frozen=True)
class OtherBlocks:
    """AUROC of blocks of as many layers that share none with the planted ones."""

    n_blocks: int
    mean: float | None
    max: float | None


@dataclass(frozen=True)
class SingleHeads:
    """Effects of single heads, planted layers against the rest.

    Attributes
    ----------
    auroc : Interval
        Chance that a head of the planted layers has a larger mean effect on p_correct than another.
    others : OtherBlocks
        Control: the same for other blocks of layers.
    share : Interval
        Share of all positive mean effects that heads of the planted layers have.
    share_by_chance : float or None
        Their split of all heads.
    n_planted, n_heads : int
        Heads of the planted layers, and of the model.
    """

    auroc: Interval
    others: OtherBlocks
    share: Interval
    share_by_chance: float | None
    n_planted: int
    n_heads: int


@dataclass(frozen=True)
class HeadSet:
    """Heads of the set, those in planted layers, and the share of all heads that is planted."""

    n_heads: int
    n_planted: int
    by_chance: float | None


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of a probe, with its interval and statements."""

    accuracy: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class NoOrganism:
    """Of a model without known layers."""

    organism: None
    reason: str


@dataclass(frozen=True)
class GroundTruthMetrics:
    """Of an organism.

    Attributes
    ----------
    organism : str
        Its name.
    planted : Window or None
        Where it was taught to lie; None for the one that never lies.
    effect : dict of str to Gain
        What ``window``, the best one, and ``set``, the head set, add.
    parting_layer : int or None
        First layer after which truth directions of source and base have parted.
    """

    organism: str
    planted: Window | None
    effect: dict[str, Gain]
    parting_layer: int | None


@dataclass(frozen=True)
class PlantedMetrics(GroundTruthMetrics):
    """Of an organism that lies.

    Attributes
    ----------
    window : BestWindow
    heads : SingleHeads
    set : HeadSet
    needed_layers : list of int
        Layers without whose change of weights more than a quarter of honesty comes back
        (metrics/grafts.json).
    methods : dict of str to Ranked
        By method, on the smallest set of heads whose change of weights, taken out, restores
        honesty; ``weight_change`` and ``trained_layers`` are controls. Empty where no set was
        found.
    belief : dict of str to Accuracy
        Probes on what enters the first planted layer: ``source`` and ``base`` on their own run,
        ``transfer`` from source to base, and ``permuted``, base with permuted labels.
    """

    window: BestWindow
    heads: SingleHeads
    set: HeadSet
    needed_layers: list[int]
    methods: dict[str, Ranked]
    belief: dict[str, Accuracy]


Metrics = PlantedMetrics | GroundTruthMetrics | NoOrganism
