"""Windows of several sizes, and the table of their runs in both directions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from stages.lib.io import tables
from stages.lib.patching import patched_runs, roles
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.prompt_pairs import PromptPairs

SCHEMA: tables.Schema = tables.PATCHED | {"split": pl.String, "size": pl.Int32}
SCHEMA |= {"first_layer": pl.Int32, "last_layer": pl.Int32}
DIRECTIONS = ("patched", "reverse")  # source z into base run, and base z into source run


@dataclass(frozen=True, order=True)
class SizedWindow:
    """Consecutive layers in which z of all heads is patched; sorted by size, then by first layer.

    Attributes
    ----------
    size, first : int
        Number of layers, and the lowest layer.
    """

    size: int
    first: int

    @property
    def last(self) -> int:
        """The highest layer."""
        return self.first + self.size - 1

    @property
    def span(self) -> range:
        """The layers."""
        return range(self.first, self.first + self.size)

    @property
    def layers(self) -> dict[str, int]:
        """First and last layer, as columns of the tables."""
        return {"first_layer": self.first, "last_layer": self.last}

    def overlaps(self, other: "SizedWindow") -> bool:
        """Return whether the windows share a layer."""
        return self.first <= other.last and other.first <= self.last


def all_windows(sizes: tuple[int, ...], n_layers: int) -> list[SizedWindow]:
    """List all windows of these sizes in a model with `n_layers` layers, size by size."""
    return [SizedWindow(size, first) for size in sizes for first in range(n_layers - size + 1)]


def layers(window: SizedWindow | None) -> dict[str, int | None]:
    """Return first and last layer of a window; None for an unpatched run."""
    return dict(window.layers) if window else {"first_layer": None, "last_layer": None}


def rows(
    about: PromptPairs,
    split: str,
    run: str,
    window: SizedWindow | None,
    probabilities: np.ndarray,
    config: PatchConfig,
) -> pl.DataFrame:
    """Return the rows of one run.

    Parameters
    ----------
    about : PromptPairs
        The statements.
    split : str
        Split of the statements.
    run : str
        One of `roles.RUNS`.
    window : SizedWindow or None
        The patched window; None for an unpatched run.
    probabilities : ndarray of shape (n_statements, 2), float32
        P(true) and P(false).
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    DataFrame
        One row per statement, with the columns of `SCHEMA`.
    """
    source, base = roles.personas(roles.RUNS[run], config).values()
    patch_id = f"layers_{window.first}_{window.last}" if window else patched_runs.UNPATCHED
    columns: dict[str, Any] = {"split": split, "size": window.size if window else None}
    columns |= layers(window)
    return patched_runs.rows(about, probabilities, source, base, patch_id, schema=SCHEMA, **columns)


def windows(runs: pl.DataFrame) -> list[SizedWindow]:
    """List the windows of a table of runs, size by size, from the lowest."""
    window_rows = runs.select("size", "first_layer").drop_nulls().unique()
    return sorted(SizedWindow(*row) for row in window_rows.rows())


def probabilities(
    runs: pl.DataFrame, run: str, window: SizedWindow | None, config: PatchConfig
) -> np.ndarray:
    """Return P(true) and P(false) of a run: (n_statements, 2), float32, by `statement_id`."""
    return patched_runs.probabilities(
        runs, **roles.personas(roles.RUNS[run], config), **layers(window)
    )
