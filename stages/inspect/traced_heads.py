"""Heads of the cells that matter: a cell is a layer at one place of the prompt."""

import polars as pl

from stages.lib.patching.patch import Head
from stages.lib.trace_effects import effects

PER_CELL = 3  # one attention map per head makes the page grow


def best(runs: pl.DataFrame, statements: pl.DataFrame, base: str) -> list[Head]:
    """Choose in each cell the heads that, patched alone, raise the base run's log-odds most.

    Parameters
    ----------
    runs : DataFrame
        Runs of stage `trace`; it patches single heads in the cells that matter.
    statements : DataFrame
        Columns `statement_id` and `label`.
    base : str
        Persona of the base run.

    Returns
    -------
    list of Head
        Sorted. At most `PER_CELL` of a cell, and none whose patch does not raise the mean log-odds
        of the right answer.
    """
    means = (
        effects(runs.filter(base=base), statements)
        .filter(pl.col("head").is_not_null())
        .group_by("layer", "block", "head")
        .agg(pl.col("effect").mean())
        .filter(pl.col("effect") > 0)
        .sort("effect", "head", descending=[True, False])
    )
    heads = means.group_by("layer", "block").head(PER_CELL).select("layer", "head")
    return [Head(*head) for head in heads.unique().sort("layer", "head").rows()]
