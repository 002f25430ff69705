"""Heads of the cells that matter: a cell is a layer at one place of the prompt."""

import polars as pl

from stages.lib.patching import patch, patched_runs
from stages.lib.patching.patch import Head

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
    runs = runs.filter(base=base).join(statements, on="statement_id")
    log_odds = patch.log_odds(patched_runs.probabilities_of(runs), runs["label"].to_numpy())
    runs = runs.with_columns(log_odds=pl.Series(log_odds, dtype=pl.Float64))
    unpatched = runs.filter(pl.col("layer").is_null()).select("statement_id", unpatched="log_odds")
    gains = (
        runs.filter(pl.col("head").is_not_null())
        .join(unpatched, on="statement_id")
        .group_by("layer", "block", "head")
        .agg(gain=(pl.col("log_odds") - pl.col("unpatched")).mean())
        .filter(pl.col("gain") > 0)
        .sort("gain", "head", descending=[True, False])
    )
    heads = gains.group_by("layer", "block").head(PER_CELL).select("layer", "head")
    return [Head(*head) for head in heads.unique().sort("layer", "head").rows()]
