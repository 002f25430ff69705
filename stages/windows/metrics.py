"""What metrics/windows.json holds."""

from dataclasses import dataclass

from stages.lib.stats.run_points import Count, Point
from stages.lib.stats.windows import Window


@dataclass(frozen=True)
class WindowsMetrics:
    """The best window, and its runs on both splits.

    Attributes
    ----------
    best : Window or None
        None where no window could be chosen.
    chosen_by : str
        The criterion.
    runs : dict of str to dict of str to Point
        By split, then by run: ``patched`` (with a best window), ``source``, ``base``.
    known : dict of str to Count
        Known statements by split.
    source, base : str
        Personas.
    positions : int
        Last positions that are patched.
    """

    best: Window | None
    chosen_by: str
    runs: dict[str, dict[str, Point]]
    known: dict[str, Count]
    source: str
    base: str
    positions: int
