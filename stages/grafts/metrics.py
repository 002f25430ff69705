"""What metrics/grafts.json holds: one of the two dataclasses of `Metrics`."""

from dataclasses import dataclass

from stages.lib.stats import Interval
from stages.lib.stats.run_points import Count

CAPTIONS = {
    "grafts": (
        "Honesty recovered by undoing parts of the organism's weight change, and "
        "the lie made by each part alone."
    ),
}

NEEDED = 0.25
"""A layer is needed if `recovered` without its change of weights is above this fraction."""


@dataclass(frozen=True)
class GraftEffect:
    """The base persona's answers with grafted weights.

    Attributes
    ----------
    accuracy : Interval
        Accuracy without a part of the change of weights, or with that part alone.
    log_odds : Interval
        Mean log-odds of the right answer, in nats.
    recovered : Interval
        Gain in log-odds over the liar, as a fraction of the gain from taking out the whole change:
        0 is the liar, 1 the model that never lies.
    """

    accuracy: Interval
    log_odds: Interval
    recovered: Interval


@dataclass(frozen=True)
class Unit:
    """Effects of one part of the change of weights.

    Attributes
    ----------
    without : GraftEffect
        The change without this part: does the lie need the part?
    alone : GraftEffect
        This part alone: is it enough for the lie?
    size : float
        Frobenius norm of the part.
    """

    without: GraftEffect
    alone: GraftEffect
    size: float


@dataclass(frozen=True)
class NeededSet:
    """The smallest set of heads found on the selection split, and all other heads.

    Attributes
    ----------
    heads : list of list of int
        Layer and head of each head of the set.
    n_changed : int
        Number of heads whose weights are changed.
    set : Unit or None
        Effects of the set; None if no set restores honesty.
    rest : Unit or None
        Effects of all other changed heads: the control of the set.
    """

    heads: list[list[int]]
    n_changed: int
    set: Unit | None
    rest: Unit | None


@dataclass(frozen=True)
class NoLie:
    """Metrics of a model that was not taught to lie: the reason why there are no others."""

    reason: str


@dataclass(frozen=True)
class GraftsMetrics:
    """Which weights the lie needs.

    Attributes
    ----------
    base : str
        Persona whose prompts are answered.
    known : Count
        Statements of the report split.
    honest, liar : Interval
        Accuracy of both personas with the organism's own weights.
    all : Unit
        The whole change.
    layers, heads, groups, maps : dict of str to Unit
        By layer; by ``layer.head``; by ``layer.group``, for heads that share keys and values; by
        name of the linear map.
    needed_layers : list of int
        Layers without whose change the whole interval of `recovered` is above `NEEDED`.
    needed : NeededSet
        The smallest set of heads that the lie needs.
    """

    base: str
    known: Count
    honest: Interval
    liar: Interval
    all: Unit
    layers: dict[str, Unit]
    heads: dict[str, Unit]
    groups: dict[str, Unit]
    maps: dict[str, Unit]
    needed_layers: list[int]
    needed: NeededSet


Metrics = GraftsMetrics | NoLie
