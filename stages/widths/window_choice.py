"""Windows of several sizes in both directions: the best one of each, and a control for it."""

from dataclasses import dataclass

import numpy as np

from stages.lib.patching import patch
from stages.lib.patching.cases import Cases

DIRECTIONS = ("patched", "reverse")  # source z into the base run, and base z into the source run


@dataclass(frozen=True)
class Window:
    """Consecutive layers, all heads of which are written.

    Attributes
    ----------
    size, first : int
        How many layers, and the lowest one.
    """

    size: int
    first: int

    @property
    def last(self) -> int:
        """The highest layer."""
        return self.first + self.size - 1

    @property
    def layers(self) -> dict[str, int]:
        """What tables call it."""
        return {"first_layer": self.first, "last_layer": self.last}

    def overlaps(self, other: "Window") -> bool:
        """Whether a layer is in both."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Run:
    """A run over some statements.

    Attributes
    ----------
    name : str
        ``source`` or ``base``, or one of `DIRECTIONS`.
    window : Window or None
        What was written; None in the runs that nothing is written into.
    probabilities : ndarray of shape (n_statements, 2)
        P(true) and P(false).
    """

    name: str
    window: Window | None
    probabilities: np.ndarray


@dataclass(frozen=True)
class Choice:
    """The window of one size that turns most, and the one that it is compared with.

    Attributes
    ----------
    best : Window
        Highest truth of a patched base run, lowest truth of a patched source run.
    control : Window or None
        The median, by truth, of the windows of that size that have no layer in common with the
        best one; of two medians the one with less truth. None where there is no such window.
    apart : tuple of float
        Truth of all those windows, in order.
    """

    best: Window
    control: Window | None
    apart: tuple[float, ...]


Choices = dict[tuple[str, int], Choice]  # by direction and size


def every(sizes: tuple[int, ...], n_layers: int) -> list[Window]:
    """All windows of these sizes in a model of so many layers, size by size, from the lowest."""
    return [Window(size, first) for size in sizes for first in range(n_layers - size + 1)]


def patches(windows: list[Window], n_layers: int, n_heads: int) -> np.ndarray:
    """Patches that overwrite all heads of these windows: (n_windows, n_layers, n_heads), bool."""
    written = np.zeros((len(windows), n_layers, n_heads), bool)
    for one, window in zip(written, windows, strict=True):
        one[window.first : window.last + 1] = True
    return written


def choose(found: Cases, runs: list[Run]) -> Choices:
    """Choose the best window of each size and direction, and its control.

    Parameters
    ----------
    found : Cases
        The statements to choose on.
    runs : list of Run
        Of all windows, on these statements.

    Returns
    -------
    dict of (str, int) to Choice
        By direction and size. Of windows that are equally good the lowest one. Empty where the
        statements have not both labels: a constant answer would be right everywhere, and a lie
        could not be told from a habit.
    """
    if found.table["label"].n_unique() < 2:
        return {}
    groups: dict[tuple[str, int], dict[Window, float]] = {}
    for run in runs:
        if run.window:
            truth = float(patch.truth(run.probabilities, found.label).mean())
            groups.setdefault((run.name, run.window.size), {})[run.window] = truth
    return {(name, size): _choice(name, truth) for (name, size), truth in groups.items()}


def to_report(choices: Choices, direction: str) -> list[Window]:
    """The best windows of one direction, and their controls."""
    pairs = [(c.best, c.control) for (name, _), c in choices.items() if name == direction]
    return [window for pair in pairs for window in pair if window]


def _choice(direction: str, truth: dict[Window, float]) -> Choice:
    """Choose among the windows of one size, by the truth of each."""
    extreme = max if direction == "patched" else min
    best = extreme(truth, key=lambda window: truth[window])
    apart = sorted((t, w.first) for w, t in truth.items() if not w.overlaps(best))
    control = Window(best.size, apart[(len(apart) - 1) // 2][1]) if apart else None
    return Choice(best, control, tuple(t for t, _ in apart))
