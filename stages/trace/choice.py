"""Which cells matter: those that restore a large share of the right answer's log-odds."""

import numpy as np
import polars as pl

from stages.lib.patching import patch, patched_runs
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.trace.map_runs import Cell
from stages.trace.schema import PARTS


def choose(
    runs: pl.DataFrame, about: PromptPairs, personas: tuple[str, str], least: float, most: int
) -> list[Cell]:
    """Choose cells on the selection split.

    Parameters
    ----------
    runs : DataFrame
        Unpatched runs and those of `map_runs.layers`, of these statements.
    about : PromptPairs
        The statements.
    personas : tuple of str
        Source and base.
    least : float
        Share of the source's log-odds above the base's that a cell must recover.
    most : int
        At most so many cells: those that recover most.

    Returns
    -------
    list of Cell
        By layer, then in the order of the prompt. None where the statements have not both labels
        (a constant answer would be right everywhere), or the source answers no better than the
        base.
    """
    if about.label.all() or not about.label.any():
        return []
    source, base = (_log_odds(runs, about, name) for name in personas)
    whole = float((source - base).mean())
    if whole <= 0:
        return []
    shares: dict[Cell, float] = {}
    placed = runs.filter(pl.col("block").is_in(PARTS))
    for (layer, block), rows in placed.group_by("layer", "block"):
        some = about.only(rows["statement_id"])
        p = rows.sort("statement_id").select("p_true", "p_false").to_numpy()
        at = np.isin(about.table["statement_id"], some.table["statement_id"])
        gained = patch.log_odds(p, some.label) - base[at]
        shares[Cell(layer, block)] = float(gained.sum() / len(base) / whole)
    best = sorted(shares, key=lambda cell: (-shares[cell], cell))[:most]
    return sorted(
        (cell for cell in best if shares[cell] >= least),
        key=lambda cell: (cell.layer, PARTS.index(cell.block)),
    )


def _log_odds(runs: pl.DataFrame, about: PromptPairs, persona: str) -> np.ndarray:
    """Log-odds of the right answer in a persona's own run."""
    p = patched_runs.probabilities(runs, patch_id="none", base=persona)
    return patch.log_odds(p, about.label)
