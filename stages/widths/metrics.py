"""What metrics/widths.json holds."""

from dataclasses import dataclass

from stages.lib.stats.run_points import Count, Difference, Point


@dataclass(frozen=True)
class WindowPoints:
    """A window that was chosen.

    Attributes
    ----------
    first_layer, last_layer : int
        From 0, both included.
    selection : Point
        On the selection split.
    report : dict of str to Point
        On the report split, by topic, ``all`` included.
    """

    first_layer: int
    last_layer: int
    selection: Point
    report: dict[str, Point]


@dataclass(frozen=True)
class Apart:
    """Mean p_correct, on the selection split, with windows that have no layer of the best one.

    Attributes
    ----------
    n_windows : int
        How many there are.
    mean, min, max : float or None
        Over windows; None where there are none.
    """

    n_windows: int
    mean: float | None
    min: float | None
    max: float | None


@dataclass(frozen=True)
class Size:
    """Windows of one size, in one direction.

    Attributes
    ----------
    best : WindowPoints
        The window with the largest effect.
    control : WindowPoints or None
        The median of the windows apart from it, where there are any.
    difference : dict of str to Difference
        The best window minus the run without a patch and minus the control, on the report split:
        ``best - base`` or ``best - source``, ``best - control``.
    apart : Apart
        All the windows that the control is the median of.
    """

    best: WindowPoints
    control: WindowPoints | None
    difference: dict[str, Difference]
    apart: Apart


@dataclass(frozen=True)
class Unpatched:
    """The runs ``source`` and ``base``: on the selection split, on the report split by topic."""

    selection: dict[str, Point]
    report: dict[str, dict[str, Point]]


@dataclass(frozen=True)
class WidthsMetrics:
    """The best window of every size.

    Attributes
    ----------
    patched, reverse : dict of str to Size
        By size: the source's z patched into the base run, and the base's into the source run.
    unpatched : Unpatched
        Beside them.
    chosen_by : dict of str to str, or str
        The criteria; why there is none, where no window could be chosen.
    known : dict of str to Count
        Known statements by split.
    source, base : str
        Personas.
    positions : int
        Last positions that are patched.
    """

    patched: dict[str, Size]
    reverse: dict[str, Size]
    unpatched: Unpatched
    chosen_by: dict[str, str] | str
    known: dict[str, Count]
    source: str
    base: str
    positions: int
