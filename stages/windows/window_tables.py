"""What a sweep of windows found: rows of a table, points of a plot, the best window."""

from typing import Any

import numpy as np
import polars as pl

from stages.lib.forward import Readouts
from stages.lib.patching import cases, patch, patch_tables
from stages.lib.patching.cases import PARTS, Cases

SCHEMA = patch_tables.SCHEMA | {"first_layer": pl.Int32, "last_layer": pl.Int32}


def rows(
    found: Cases, readouts: Readouts, patches: np.ndarray, config: patch.Config, size: int
) -> pl.DataFrame:
    """Build the table of patched runs.

    Parameters
    ----------
    found : Cases
        The statements.
    readouts : Readouts
        Of the sweep.
    patches : ndarray of shape (n_windows, n_layers, n_heads), bool
        What each window overwrites.
    config : Config
        Section `patch`.
    size : int
        Layers of a window.

    Returns
    -------
    DataFrame
        With the columns of `SCHEMA`, one row a statement and run; the unpatched runs have no
        layers.
    """
    unpatched = ((config.base, readouts.base), (config.source, readouts.source))
    parts = [patch_tables.rows(found, p, persona, persona) for persona, p in unpatched]
    for first, p in enumerate(readouts.patched):
        heads = patch.heads_of(patches[first])
        table = patch_tables.rows(found, p, config.source, config.base, f"window_{first}", heads)
        last = first + size - 1
        parts.append(table.with_columns(first_layer=pl.lit(first), last_layer=pl.lit(last)))
    return pl.concat(parts, how="diagonal")


def points(
    found: Cases, readouts: Readouts, config: patch.Config, size: int
) -> list[dict[str, Any]]:
    """Accuracy and truth of each window beside both baselines.

    Returns
    -------
    list of dict
        One row a part, run (``patched``, ``source``, ``base``) and window: of
        plots/windows/windows.json.

    References
    ----------
    arXiv:2311.15131, figure 3.
    """
    result = []
    for part in PARTS:
        chosen = (found.table["part"] == part).to_numpy()
        baselines = {
            "source": patch_tables.point(found, readouts.source, chosen),
            "base": patch_tables.point(found, readouts.base, chosen),
        }
        for first, patched in enumerate(readouts.patched):
            runs = {"patched": patch_tables.point(found, patched, chosen)} | baselines
            layers = {"first_layer": first, "last_layer": first + size - 1}
            personas = {"source": config.source, "base": config.base}
            result += [
                {"part": part, "run": run, **personas, **layers, **numbers}
                for run, numbers in runs.items()
            ]
    return result


def best(found: Cases, rows: list[dict[str, Any]]) -> int | None:
    """First layer of the window with the highest truth on the selection part.

    Returns
    -------
    int or None
        None where the known statements have not both labels: a constant answer would be right
        everywhere, and a lie could not be told from a habit.
    """
    labels = found.table.filter(pl.col("part") == "selection")["label"]
    if labels.n_unique() < 2:
        return None
    patched = [p for p in rows if p["part"] == "selection" and p["run"] == "patched"]
    return max(patched, key=lambda p: p["truth"])["first_layer"]


def summarise(
    found: Cases, rows: list[dict[str, Any]], first: int | None, config: patch.Config, size: int
) -> dict[str, Any]:
    """Name the best window, and what it does on both parts.

    Parameters
    ----------
    found : Cases
        The statements.
    rows : list of dict
        From `points`.
    first : int or None
        From `best`.
    config : Config
        Section `patch`.
    size : int
        Layers of a window.

    Returns
    -------
    dict
        What metrics/windows.json holds; without a best window, the unpatched runs alone.
    """
    how = "highest mean probability of the right answer, on the selection part"
    if first is None:
        how = "nothing: the known statements of the selection part have not both labels"
    last = None if first is None else first + size - 1
    return {
        "best": None if first is None else {"first_layer": first, "last_layer": last},
        "chosen_by": how,
        "runs": {
            part: {
                p["run"]: patch_tables.numbers(p)
                for p in rows
                if p["part"] == part
                and (p["first_layer"] == first or (first is None and p["run"] != "patched"))
            }
            for part in PARTS
        },
        "known": {part: cases.count(found.table.filter(pl.col("part") == part)) for part in PARTS},
        "source": config.source,
        "base": config.base,
        "positions": config.positions,
    }
