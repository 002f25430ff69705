"""What metrics/grafts.json holds: one of the two dataclasses of `Metrics`."""

from dataclasses import dataclass

from stages.lib.stats import Interval
from stages.lib.stats.run_points import Count

NEEDED = 0.25
"""A layer is needed if more than this share of honesty comes back without its change of weights."""


@dataclass(frozen=True)
class GraftEffect:
    """The base persona's answers with grafted weights.

    Attributes
    ----------
    accuracy : Interval
        With a part of the weights taken out, or left alone.
    log_odds : Interval
        Mean log-odds of the right answer, in nats.
    restored : Interval
        Log-odds above those of the liar, as a share of what taking out all of the change gives: 0
        is the liar, 1 the model that never lies.
    """

    accuracy: Interval
    log_odds: Interval
    restored: Interval


@dataclass(frozen=True)
class Unit:
    """A part of the change of weights.

    Attributes
    ----------
    without : GraftEffect
        All of the change but this part: whether the lie needs it.
    alone : GraftEffect
        This part alone: whether it is enough for the lie.
    size : float
        Frobenius norm of the part.
    """

    without: GraftEffect
    alone: GraftEffect
    size: float


@dataclass(frozen=True)
class NeededSet:
    """The smallest set of heads that was found on the selection split, and all other heads.

    Attributes
    ----------
    heads : list of list of int
        Layer and head.
    n_changed : int
        Heads whose weights are changed at all.
    set : Unit or None
        The set; None where no set restores honesty.
    rest : Unit or None
        All changed heads but those: what the set is compared with.
    """

    heads: list[list[int]]
    n_changed: int
    set: Unit | None
    rest: Unit | None


@dataclass(frozen=True)
class NoLie:
    """Of a model that was not taught to lie."""

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
        All of the change.
    layers, heads, groups, maps : dict of str to Unit
        By layer, ``layer.head``, ``layer.group`` (of heads that share keys and values) and name.
    needed_layers : list of int
        Layers whose `restored` without them lies above `NEEDED` with its interval.
    needed : NeededSet
        Heads.
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
