"""Table of the effect of every head's patch on each statement, estimated and true.

Both effects are in nats of log-odds, the logarithm of P(right answer) / P(wrong answer): the scale
on which the gradient is taken.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib.patching import head_effects, patch, patched_runs
from stages.lib.patching.prompt_pairs import PromptPairs


def rows(
    about: PromptPairs, attribution: NDArray[np.float32], patched: pl.DataFrame
) -> pl.DataFrame:
    """Make one row per statement and head.

    Parameters
    ----------
    about : PromptPairs
        The statements.
    attribution : ndarray of shape (n_statements, n_layers, n_heads)
        Estimated effect on log P(true) - log P(false), in nats.
    patched : DataFrame
        Runs with each head patched alone, as in `true_effects`.

    Returns
    -------
    DataFrame
        With the columns of `head_effects.EFFECTS`.
    """
    n, n_layers, n_heads = attribution.shape
    place = np.indices((n, n_layers, n_heads)).reshape(3, -1)
    columns = {
        "statement_id": about.table["statement_id"].gather(place[0]),
        "layer": place[1],
        "head": place[2],
        "estimate": patch.toward_right(attribution, about.label).ravel(),
        "effect": true_effects(patched, about, n_layers, n_heads).ravel(),
    }
    return pl.DataFrame(columns, schema_overrides=head_effects.EFFECTS)


def true_effects(
    patched: pl.DataFrame, pairs: PromptPairs, n_layers: int, n_heads: int
) -> NDArray[np.float64]:
    """Measure the log-odds that each head's patch adds to each statement's right answer.

    Parameters
    ----------
    patched : DataFrame
        The base run, and a run per head of the model with this head patched alone; with the columns
        of `patched_runs.SCHEMA`.
    pairs : PromptPairs
        The statements.
    n_layers, n_heads : int
        Layers of the model, and heads per layer.

    Returns
    -------
    ndarray of shape (n_statements, n_layers, n_heads), float64
        Patched run minus base run, in nats.
    """
    shape = (n_layers, n_heads, len(pairs.label))
    head = pl.col("heads").list.first().struct
    head_runs = patched.filter(pl.col("patch_id") != patched_runs.UNPATCHED).sort(
        head.field("layer"), head.field("head"), "statement_id"
    )
    unpatched = patched.filter(pl.col("patch_id") == patched_runs.UNPATCHED).sort("statement_id")
    p_base, p_patched = (patched_runs.probabilities_of(rows) for rows in (unpatched, head_runs))
    patched_odds = patch.log_odds(p_patched.reshape(*shape, 2), pairs.label)
    return np.moveaxis(patched_odds - patch.log_odds(p_base, pairs.label), -1, 0)
