"""The best window of each size and direction, and a control for it."""

from dataclasses import dataclass

import polars as pl

from stages.lib.patching import patch, roles
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.widths import window_runs
from stages.widths.window_runs import DIRECTIONS, SizedWindow


@dataclass(frozen=True)
class Choice:
    """The window of one size with the largest effect, and its control.

    Attributes
    ----------
    best : SizedWindow
        Window with the highest p_correct of the patched base run, or with the lowest p_correct of
        the patched source run.
    control : SizedWindow or None
        The median, by p_correct, of the windows of this size that share no layer with the best
        window; of two medians, the lower one. None where there is no such window.
    apart : tuple of float
        p_correct of all these windows, ascending.
    """

    best: SizedWindow
    control: SizedWindow | None
    apart: tuple[float, ...]


Choices = dict[tuple[str, int], Choice]  # by direction and size


def choose(about: PromptPairs, runs: pl.DataFrame, config: PatchConfig) -> Choices:
    """Choose the best window of each size and direction, and its control.

    Parameters
    ----------
    about : PromptPairs
        The statements to choose on.
    runs : DataFrame
        Runs of all windows on these statements, with the columns of `window_runs.SCHEMA`.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    dict of (str, int) to Choice
        By direction and size. Ties go to the lowest window. Empty where all statements have the
        same label: a constant answer would be right everywhere, and a lie could not be told from a
        response bias.
    """
    if about.table["label"].n_unique() < 2:
        return {}
    choices: Choices = {}
    for direction in DIRECTIONS:
        of_size: dict[int, dict[SizedWindow, float]] = {}
        own = runs.filter(**roles.personas(roles.RUNS[direction], config))
        for window in window_runs.windows(own):
            p = window_runs.probabilities(own, direction, window, config)
            of_size.setdefault(window.size, {})[window] = patch.mean_p_correct(p, about.label)
        choices |= {
            (direction, size): _choice(direction, p_correct) for size, p_correct in of_size.items()
        }
    return choices


def to_report(choices: Choices, direction: str) -> list[SizedWindow]:
    """List the best windows of one direction and their controls, to run on the report split."""
    pairs = [(c.best, c.control) for (name, _), c in choices.items() if name == direction]
    return [window for pair in pairs for window in pair if window]


def _choice(direction: str, p_correct: dict[SizedWindow, float]) -> Choice:
    """Choose the best window of one size and its control, by p_correct."""
    extreme = max if direction == "patched" else min
    best = extreme(p_correct, key=lambda window: p_correct[window])
    apart = sorted((value, w.first) for w, value in p_correct.items() if not w.overlaps(best))
    control = SizedWindow(best.size, apart[(len(apart) - 1) // 2][1]) if apart else None
    return Choice(best, control, tuple(value for value, _ in apart))
