"""Content of metrics/windows.json."""

from dataclasses import dataclass

from stages.lib.patching.layer_window import Window
from stages.lib.stats.run_points import Count, Point

CAPTIONS = {
    "windows": "Accuracy and P(correct) of the patched run, by first layer of the window.",
}


@dataclass(frozen=True)
class WindowsMetrics:
    """The best window, and its runs on both splits.

    Attributes
    ----------
    best : Window or None
        None where no window could be chosen.
    as_accurate : dict of str to float
        Mean p_correct of other windows whose accuracy is that of the best one, by first layer, on
        the selection split.
    chosen_by : str
        The criterion, or the reason why no window could be chosen.
    runs : dict of str to dict of str to Point
        By split, then by run: ``patched`` (where there is a best window), ``source``, ``base``.
    known : dict of str to Count
        Known statements by split.
    source, base : str
        Personas.
    positions : int
        Number of last positions that are patched.
    """

    best: Window | None
    as_accurate: dict[str, float | None]
    chosen_by: str
    runs: dict[str, dict[str, Point]]
    known: dict[str, Count]
    source: str
    base: str
    positions: int
