"""Effects of the patches of stage `trace`, for those that show single statements."""

import polars as pl

from stages.lib.patching import patch, patched_runs


def effects(runs: pl.DataFrame, statements: pl.DataFrame) -> pl.DataFrame:
    """Return the patched runs, with the effect of each patch.

    Parameters
    ----------
    runs : DataFrame
        With the columns of `trace.schema.RUNS`.
    statements : DataFrame
        Columns `statement_id` and `label`; runs of other statements are dropped.

    Returns
    -------
    DataFrame
        Rows of `runs` with a layer. Column `effect`: log-odds of the right answer minus those of
        the unpatched run of the same statement and base, in nats; null without such a run.
    """
    runs = runs.join(statements.select("statement_id", "label"), on="statement_id")
    log_odds = patch.log_odds(patched_runs.probabilities_of(runs), runs["label"].to_numpy())
    runs = runs.with_columns(log_odds=pl.Series(log_odds, dtype=pl.Float64))
    key = ["statement_id", "base"]
    unpatched = runs.filter(pl.col("layer").is_null()).select(*key, unpatched="log_odds")
    patched = runs.filter(pl.col("layer").is_not_null()).join(unpatched, on=key, how="left")
    return patched.with_columns(effect=pl.col("log_odds") - pl.col("unpatched"))
