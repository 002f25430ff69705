"""Tables of patched runs: how they are written, and how they are read again."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from stages.lib.io import tables
from stages.lib.patching import prompt_pairs
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs

SCHEMA = tables.PATCHED | {"heads": pl.List(pl.Struct({"layer": pl.Int32, "head": pl.Int32}))}


def rows(
    pairs: PromptPairs,
    probabilities: np.ndarray,
    source: str,
    base: str,
    patch_id: str = "none",
    heads: Iterable[Head] = (),
) -> pl.DataFrame:
    """One run's rows of a table of patched runs.

    Parameters
    ----------
    pairs : PromptPairs
        The statements.
    probabilities : ndarray of shape (n_statements, 2), float32
        P(true) and P(false).
    source, base : str
        Personas of the run that gives z and of the run that is written into; the same for a run
        that is not patched.
    patch_id : str
        Names the patch.
    heads : iterable of Head
        What the patch writes.

    Returns
    -------
    DataFrame
        With the columns of `SCHEMA`.
    """
    n = len(pairs.table)
    written = [{"layer": layer, "head": head} for layer, head in heads]
    return pl.DataFrame(
        {
            "statement_id": pairs.table["statement_id"],
            "source": [source] * n,
            "base": [base] * n,
            "patch_id": [patch_id] * n,
            "p_true": probabilities[:, 0],
            "p_false": probabilities[:, 1],
            "answer_mass": probabilities.sum(axis=1),
            "heads": [written] * n,
        },
        schema=SCHEMA,
    )


def read(file: Path, schema: tables.Schema, pairs: Path) -> tuple[pl.DataFrame, PromptPairs]:
    """Read a table of patched runs, and the statements that it is about.

    Parameters
    ----------
    file : Path
        What a sweep wrote.
    schema : dict
        Its columns.
    pairs : Path
        Output of stage `pairs`.

    Returns
    -------
    tuple of DataFrame and PromptPairs
        The statements of both splits, sorted by `statement_id`.
    """
    runs = tables.read(file, schema, nullable=set(schema) - set(tables.PATCHED))
    every = prompt_pairs.read(pairs, prompt_pairs.SPLITS, None, by="split")
    return runs, every.only(runs["statement_id"])


def probabilities(runs: pl.DataFrame, **columns: Any) -> np.ndarray:
    """P(true) and P(false) of one run: (n_statements, 2), float32, sorted by `statement_id`.

    Parameters
    ----------
    runs : DataFrame
        With the columns of `SCHEMA`, or some of them.
    **columns
        Values that tell the run from the others; None stands for null.
    """
    own = runs.filter(pl.col(name).eq_missing(pl.lit(value)) for name, value in columns.items())
    return own.sort("statement_id").select("p_true", "p_false").to_numpy()
