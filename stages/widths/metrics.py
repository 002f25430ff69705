"""Content of metrics/widths.json."""

from dataclasses import dataclass

from stages.lib.stats.run_points import Count, Difference, Point

CAPTIONS = {
    "widths": (
        "P(correct) by first layer, and accuracy of the best window, for windows of "
        "several sizes in both directions."
    ),
}


@dataclass(frozen=True)
class WindowPoints:
    """Numbers of a chosen window.

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
    """Mean p_correct, on the selection split, with windows that share no layer with the best one.

    Attributes
    ----------
    n_windows : int
        Number of these windows.
    mean, min, max : float or None
        Over windows; None where there are no such windows.
    """

    n_windows: int
    mean: float | None
    min: float | None
    max: float | None


@dataclass(frozen=True)
class Size:
    """Results for windows of one size, in one direction.

    Attributes
    ----------
    best : WindowPoints
        The window with the largest effect.
    control : WindowPoints or None
        The median of the windows that share no layer with the best one; None without any.
    difference : dict of str to Difference
        The best window minus the unpatched run (``best - base`` or ``best - source``), and minus
        the control (``best - control``), on the report split.
    apart : Apart
        All windows that the control is the median of.
    """

    best: WindowPoints
    control: WindowPoints | None
    difference: dict[str, Difference]
    apart: Apart


@dataclass(frozen=True)
class Unpatched:
    """Runs ``source`` and ``base``: on the selection split, and by topic on the report split."""

    selection: dict[str, Point]
    report: dict[str, dict[str, Point]]


@dataclass(frozen=True)
class WidthsMetrics:
    """The best window of every size.

    Attributes
    ----------
    patched, reverse : dict of str to Size
        By size: z of the source patched into the base run, and z of the base into the source run.
    unpatched : Unpatched
        Both runs without a patch.
    chosen_by : dict of str to str, or str
        The criteria, or the reason why no window could be chosen.
    known : dict of str to Count
        Known statements by split.
    source, base : str
        Personas.
    positions : int
        Number of last positions that are patched.
    """

    patched: dict[str, Size]
    reverse: dict[str, Size]
    unpatched: Unpatched
    chosen_by: dict[str, str] | str
    known: dict[str, Count]
    source: str
    base: str
    positions: int
