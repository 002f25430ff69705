"""The table data/heads.parquet: every run of the search for a head set."""

import numpy as np
import polars as pl

from stages.lib.patching import patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs

SCHEMA = patched_runs.SCHEMA | {"step": pl.Int32, "model_heads": pl.Int32}
NOTHING = "nothing: there is no best window (see metrics/windows.json)"


def rows(
    pairs: PromptPairs,
    config: PatchConfig,
    sets: dict[str, list[Head]],
    probabilities: list[np.ndarray],
    order: list[Head],
    model_heads: int,
) -> pl.DataFrame:
    """Make one row per statement and head set.

    Parameters
    ----------
    pairs : PromptPairs
        The statements.
    config : PatchConfig
        Section `patch`.
    sets : dict of str to list of Head
        Head sets by `patch_id`.
    probabilities : list of ndarray of shape (n_statements, 2), float32
        P(true) and P(false) with each set patched in.
    order : list of Head
        The heads of the chosen set, in the order in which the search added them.
    model_heads : int
        Number of heads of the model.

    Returns
    -------
    DataFrame
        With the columns of `SCHEMA`. ``step`` is k for the set of the first k heads of `order`, and
        null for other sets; of equal sets only the first in `sets` has it. ``model_heads`` is the
        same in all rows.
    """
    name_of_set = {frozenset(heads): name for name, heads in reversed(sets.items())}
    steps = {name_of_set[frozenset(order[:k])]: k for k in range(len(order) + 1)}
    tables = [
        patched_runs.rows(
            pairs,
            p,
            config.source,
            config.base,
            name,
            heads,
            SCHEMA,
            step=steps.get(name),
            model_heads=model_heads,
        )
        for (name, heads), p in zip(sets.items(), probabilities, strict=True)
    ]
    return pl.concat(tables)
