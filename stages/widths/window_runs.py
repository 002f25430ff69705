"""Windows of several sizes, and the table of their runs in both directions."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from stages.lib.io import tables
from stages.lib.patching import patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.prompt_pairs import PromptPairs

SCHEMA: tables.Schema = tables.PATCHED | {"split": pl.String, "size": pl.Int32}
SCHEMA |= {"first_layer": pl.Int32, "last_layer": pl.Int32}
DIRECTIONS = ("patched", "reverse")  # source z into the base run, and base z into the source run
# Role of the persona that gives z, and of the persona whose run is patched, in the order of plots.
RUNS = {
    "source": ("source", "source"),
    "patched": ("source", "base"),
    "base": ("base", "base"),
    "reverse": ("base", "source"),
}


@dataclass(frozen=True, order=True)
class Window:
    """Consecutive layers, in all heads of which z is patched; sorted by size, then from the lowest.

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


def every(sizes: tuple[int, ...], n_layers: int) -> list[Window]:
    """All windows of these sizes in a model of so many layers, size by size, from the lowest."""
    return [Window(size, first) for size in sizes for first in range(n_layers - size + 1)]


def patches(windows: list[Window], n_layers: int, n_heads: int) -> np.ndarray:
    """Patches that overwrite all heads of these windows: (n_windows, n_layers, n_heads), bool."""
    written = np.zeros((len(windows), n_layers, n_heads), bool)
    for one, window in zip(written, windows, strict=True):
        one[window.first : window.last + 1] = True
    return written


def personas(run: str, config: PatchConfig) -> dict[str, str]:
    """Persona that a run's z is from (``source``), and persona that it answers as (``base``)."""
    source, base = (getattr(config, role) for role in RUNS[run])
    return {"source": source, "base": base}


def layers(window: Window | None) -> dict[str, int | None]:
    """First and last layer; None in a run that is not patched."""
    return dict(window.layers) if window else {"first_layer": None, "last_layer": None}


def rows(
    about: PromptPairs,
    split: str,
    run: str,
    window: Window | None,
    probabilities: np.ndarray,
    config: PatchConfig,
) -> pl.DataFrame:
    """One run's rows of the table of runs.

    Parameters
    ----------
    about : PromptPairs
        The statements.
    split : str
        The split that they are of.
    run : str
        One of `RUNS`.
    window : Window or None
        Where z is patched; None in the unpatched runs.
    probabilities : ndarray of shape (n_statements, 2), float32
        P(true) and P(false).
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    DataFrame
        One row per statement, with the columns of `SCHEMA`.
    """
    source, base = personas(run, config).values()
    patch_id = f"layers_{window.first}_{window.last}" if window else "none"
    table = patched_runs.rows(about, probabilities, source, base, patch_id)
    columns = {"split": split, "size": window.size if window else None, **layers(window)}
    values = (pl.lit(value, SCHEMA[name]).alias(name) for name, value in columns.items())
    return table.drop("heads").with_columns(values)


def windows(runs: pl.DataFrame) -> list[Window]:
    """List the windows of some runs, size by size, from the lowest."""
    swept = runs.select("size", "first_layer").drop_nulls().unique()
    return sorted(Window(*row) for row in swept.rows())


def probabilities(
    runs: pl.DataFrame, run: str, window: Window | None, config: PatchConfig
) -> np.ndarray:
    """P(true) and P(false) of one run: (n_statements, 2), float32, sorted by `statement_id`."""
    return patched_runs.probabilities(runs, **personas(run, config), **layers(window))
