"""Choice of the cells that matter: their patch recovers a large share of the log-odds."""

import numpy as np
import polars as pl

from stages.lib.patching import patch, patched_runs
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.trace.map_runs import Cell
from stages.trace.schema import PARTS


def choose(
    runs: pl.DataFrame, about: PromptPairs, personas: tuple[str, str], least: float, most: int
) -> list[Cell]:
    """Choose the cells that recover the largest shares of log-odds on the selection split.

    Parameters
    ----------
    runs : DataFrame
        Unpatched runs and runs of `map_runs.layers`, over these statements.
    about : PromptPairs
        The statements.
    personas : tuple of str
        Source and base.
    least : float
        Share of the difference in log-odds, source minus base, that a cell must recover.
    most : int
        Maximal number of cells.

    Returns
    -------
    list of Cell
        By layer, then in the order of the prompt. Empty where all statements have the same label
        (a constant answer would be right everywhere), or where the mean log-odds of the source are
        not above those of the base.
    """
    if about.label.all() or not about.label.any():
        return []
    source, base = (
        patched_runs.log_odds(runs, about, patch_id=patched_runs.UNPATCHED, base=name)
        for name in personas
    )
    advantage = float((source - base).mean())
    if advantage <= 0:
        return []
    shares: dict[Cell, float] = {}
    part_runs = runs.filter(pl.col("block").is_in(PARTS))
    for (layer, block), rows in part_runs.group_by("layer", "block"):
        statements = about.only(rows["statement_id"])
        p = patched_runs.probabilities_of(rows.sort("statement_id"))
        has_rows = np.isin(about.table["statement_id"], statements.table["statement_id"])
        gained = patch.log_odds(p, statements.label) - base[has_rows]
        shares[Cell(layer, block)] = float(gained.sum() / len(base) / advantage)
    best = sorted(shares, key=lambda cell: (-shares[cell], cell))[:most]
    return sorted(
        (cell for cell in best if shares[cell] >= least),
        key=lambda cell: (cell.layer, PARTS.index(cell.block)),
    )
