"""What metrics/robustness.json holds; scores are on the report split."""

from dataclasses import dataclass

from stages.lib.patching.layer_window import Window
from stages.lib.patching.patch import Head
from stages.lib.stats import Interval
from stages.lib.stats.run_points import ByLabel, Count, Point

CAPTIONS = {
    "robustness": ("Accuracy with sets that were chosen on one topic or wording, on every other."),
}


@dataclass(frozen=True)
class SetPoint(Point):
    """Scores of a head set under one wording.

    Attributes
    ----------
    recovered : Interval
        Fraction of the gap in p_correct between base and source run that the set recovers.
    by_label : ByLabel
        Accuracy on true and on false statements; the same answer to all gives 1 and 0.
    reverse : Point or None
        The set patched in the other direction; None for sets of topics.
    """

    recovered: Interval
    by_label: ByLabel
    reverse: Point | None


@dataclass(frozen=True)
class ChosenSet:
    """A head set, and its scores by wording."""

    heads: list[Head]
    scored: dict[str, SetPoint]


@dataclass(frozen=True)
class Generalisation:
    """Fraction recovered by sets where they were chosen, and elsewhere.

    Attributes
    ----------
    on_diagonal, off_diagonal : Interval
        By the set chosen on the scored topic or wording, and mean of the sets chosen elsewhere.
    difference : Interval
        Off minus on the diagonal.
    n_sets : int
    """

    on_diagonal: Interval
    off_diagonal: Interval
    difference: Interval
    n_sets: int


@dataclass(frozen=True)
class Overlap:
    """Jaccard index over all pairs of sets; None where there is no pair."""

    mean: float | None
    min: float | None
    max: float | None
    n_pairs: int


@dataclass(frozen=True)
class Shuffled:
    """Mean overlap of sets of topics after permutation of the topic labels.

    Attributes
    ----------
    mean, low, high : float or None
        Over shuffles, and percentiles 2.5 and 97.5 of them.
    n_shuffles : int
    p_value : float or None
        Fraction of shuffles, the true topics included, whose overlap is at most that of the true
        topics.
    """

    mean: float | None
    low: float | None
    high: float | None
    n_shuffles: int
    p_value: float | None


@dataclass(frozen=True)
class ShuffledOverlap(Overlap):
    """Overlap of the sets of topics, beside its control."""

    shuffled: Shuffled


@dataclass(frozen=True)
class Resampled:
    """Overlap of sets chosen on two bootstrap draws of subjects.

    Attributes
    ----------
    mean, low, high : float
        Mean over pairs of draws, and percentiles 2.5 and 97.5 over pairs: no interval of the mean.
    n_pairs : int
    """

    mean: float
    low: float
    high: float
    n_pairs: int


@dataclass(frozen=True)
class Overlaps:
    """Overlap of sets chosen on topics, on wordings, and on draws; None where none was chosen."""

    topic: ShuffledOverlap | Overlap | None
    wording: Overlap | None
    seed: Resampled | None


@dataclass(frozen=True)
class RobustnessMetrics:
    """Sets chosen on one topic or wording, and scored on all.

    Attributes
    ----------
    n_heads : int or None
        Heads per set; None where no set was chosen.
    n_candidates : int
        Heads of the best window.
    chosen_by : str
        The criterion.
    window : Window or None
        The best window.
    known : dict of str to Count
        Statements by split.
    sets : dict of str to dict of str to ChosenSet
        By what a set was chosen on (``search``, ``topic``, ``wording``) and its name.
    unpatched : dict of str to dict of str to Point
        By wording and run: ``source``, ``base``.
    generalisation : dict of str to Generalisation
        ``topic`` and ``wording``.
    overlap : Overlaps
    overlap_by_chance : float or None
        Expected Jaccard index of two random sets of `n_heads` heads of the window.
    """

    n_heads: int | None
    n_candidates: int
    chosen_by: str
    window: Window | None
    known: dict[str, Count]
    sets: dict[str, dict[str, ChosenSet]]
    unpatched: dict[str, dict[str, Point]]
    generalisation: dict[str, Generalisation]
    overlap: Overlaps
    overlap_by_chance: float | None
