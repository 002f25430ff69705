"""Content of metrics/trace.json."""

from dataclasses import dataclass

from stages.lib.stats import Interval
from stages.lib.stats.run_points import Count

CAPTIONS = {
    "trace": (
        "Fraction of the gap recovered by one layer patched at one place of the "
        "prompt; both directions; paths between the places that matter."
    ),
}

MOST = 0.5
"""Most of a gain passes through a reader if the share that does is above this threshold."""


@dataclass(frozen=True)
class CellEffect:
    """Effect of patching a layer at a place of the prompt alone, on the report split.

    Attributes
    ----------
    layer : int
    block : str
        Place of the prompt.
    effect : Interval
        Log-odds of the right answer, in nats, that the patch adds to the base run.
    recovered : Interval
        This gain as a share of the difference in log-odds, source run minus base run.
    accuracy : Interval
        Accuracy of the patched run.
    reverse : Interval
        Share of this difference that the source run loses with z of the base run patched in.
    heads : dict of str to Interval
        Share that each head of the layer, patched alone at the same place, recovers.
    """

    layer: int
    block: str
    effect: Interval
    recovered: Interval
    accuracy: Interval
    reverse: Interval
    heads: dict[str, Interval]


@dataclass(frozen=True)
class PathEffect:
    """Effect of a cell (the writer) through a later cell (the reader), as a share of its own gain.

    Attributes
    ----------
    writer, reader : str
        Names of the cells, as in `TraceMetrics.cells`; the reader may be a layer at all places.
    through : Interval
        With the z that the reader computes when the writer is patched, and nothing else patched.
    around : Interval
        With the writer patched, and the reader's z kept as in the base run.
    """

    writer: str
    reader: str
    through: Interval
    around: Interval


@dataclass(frozen=True)
class View:
    """Layer that recovers most when one choice of positions is patched."""

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
        Log-odds of the right answer, in nats, source run minus base run.
    chosen_by : str
        Criterion by which cells were chosen.
    least : float
        Share that a cell must recover to matter.
    cells : dict of str to CellEffect
        Cells that matter, by name.
    paths : dict of str to PathEffect
        From each cell that matters to each later one, and to the layer of the later one.
    writers, readers : list of str
        Writers: cells most of whose effect passes through a later cell or its layer: the interval
        of `PathEffect.through` lies above `MOST`. Readers: the cells that it passes through; a
        layer at all places stands for each of its cells that matter.
    views : dict of str to View
        ``last``: the last positions, set in section `patch`. ``all``: all paired positions.
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
