"""What metrics/trace.json holds."""

from dataclasses import dataclass

from stages.lib.stats import Interval
from stages.lib.stats.run_points import Count

MOST = 0.5
"""Share of a gain of which more is most of it."""


@dataclass(frozen=True)
class CellEffect:
    """A layer at a place of the prompt, patched alone; on the report split.

    Attributes
    ----------
    layer : int
    block : str
        Place of the prompt.
    gained : Interval
        Log-odds of the right answer, in nats, that the patch adds to the base run.
    recovered : Interval
        The same as a share of the log-odds that the source run has above the base run.
    accuracy : Interval
        Of the patched run.
    reverse : Interval
        Share of the source run's advantage that the base's z takes from it.
    heads : dict of str to Interval
        Share that each head of the layer recovers alone, at the same place.
    """

    layer: int
    block: str
    gained: Interval
    recovered: Interval
    accuracy: Interval
    reverse: Interval
    heads: dict[str, Interval]


@dataclass(frozen=True)
class PathEffect:
    """What a cell does to the answer by way of a later one, as a share of what it gains.

    Attributes
    ----------
    writer, reader : str
        Names of the cells, as in `TraceMetrics.cells`; the reader may be its layer at all places.
    through : Interval
        With the reader's z as it is where the writer is patched, and nothing else patched.
    around : Interval
        With the writer patched, and the reader's z as in the base run.
    """

    writer: str
    reader: str
    through: Interval
    around: Interval


@dataclass(frozen=True)
class View:
    """What a choice of positions sees: the layer that recovers most there."""

    layer: int | None
    recovered: Interval


@dataclass(frozen=True)
class TraceMetrics:
    """Where in depth and in the prompt the patch takes effect.

    Attributes
    ----------
    source, base : str
        Personas.
    known : Count
        Statements of the report split.
    advantage : Interval
        Log-odds of the right answer, in nats, of the source run above the base run.
    chosen_by : str
        How cells were chosen.
    least : float
        A cell matters if it recovers this fraction.
    cells : dict of str to CellEffect
        Cells that matter, by name.
    paths : dict of str to PathEffect
        From each of them to each later one.
    writers, readers : list of str
        Cells most of whose effect passes through another one, and the cells that it passes
        through: the intervals of `PathEffect.through` lie above `MOST`. A reader that is a layer
        at all places counts as each of its cells.
    views : dict of str to View
        ``last``, the positions that section `patch` writes, and ``all`` that are paired.
    """

    source: str
    base: str
    known: Count
    advantage: Interval
    chosen_by: str
    least: float
    cells: dict[str, CellEffect]
    paths: dict[str, PathEffect]
    writers: list[str]
    readers: list[str]
    views: dict[str, View]
