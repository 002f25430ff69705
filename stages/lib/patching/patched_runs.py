"""Makes the rows of tables of patched runs, and reads these tables."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from stages.lib.io import tables
from stages.lib.patching import patch, prompt_pairs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs

UNPATCHED = "none"  # `patch_id` of an unpatched run
SCHEMA = tables.PATCHED | {"heads": pl.List(pl.Struct({"layer": pl.Int32, "head": pl.Int32}))}


def rows(
    pairs: PromptPairs,
    probabilities: np.ndarray,
    source: str,
    base: str,
    patch_id: str = UNPATCHED,
    heads: Iterable[Head] = (),
    schema: tables.Schema = SCHEMA,
    **columns: Any,
) -> pl.DataFrame:
    """Make the rows of one run for a sweep's table of patched runs.

    Parameters
    ----------
    pairs : PromptPairs
        The statements.
    probabilities : ndarray of shape (n_statements, 2), float32
        P(true) and P(false).
    source, base : str
        Personas of the run that gives z and of the run that is patched; both the same for an
        unpatched run.
    patch_id : str
        Name of the patch.
    heads : iterable of Head
        Heads that are patched in.
    schema : dict
        Columns of the table.
    **columns
        Values of columns that `SCHEMA` lacks: one for all rows, or a Series. A column without a
        value is null.

    Returns
    -------
    DataFrame
        With the columns of `schema`.

    Raises
    ------
    ValueError
        If a value belongs to no column of the schema.
    """
    if unknown := set(columns) - set(schema):
        raise ValueError(f"no column {', '.join(sorted(unknown))} in {', '.join(schema)}")
    n = len(pairs.table)
    patched_heads = [{"layer": layer, "head": head} for layer, head in heads]
    run = pl.DataFrame(
        {
            "statement_id": pairs.table["statement_id"],
            "source": [source] * n,
            "base": [base] * n,
            "patch_id": [patch_id] * n,
            "p_true": probabilities[:, 0],
            "p_false": probabilities[:, 1],
            "answer_mass": probabilities.sum(axis=1),
            "heads": [patched_heads] * n,
        },
        schema=SCHEMA,
    )
    new_columns = [
        (value if isinstance(value := columns.get(name), pl.Series) else pl.lit(value))
        .cast(type_)
        .alias(name)
        for name, type_ in schema.items()
        if name not in SCHEMA
    ]
    return run.with_columns(new_columns).select(*schema)


def unpatched(
    pairs: PromptPairs,
    source: np.ndarray,
    base: np.ndarray,
    config: PatchConfig,
    patch_id: str = UNPATCHED,
    schema: tables.Schema = SCHEMA,
    **columns: Any,
) -> pl.DataFrame:
    """Make the rows of both personas' unpatched runs; parameters as in `rows`."""
    runs = ((config.source, source), (config.base, base))
    return pl.concat(
        rows(pairs, p, persona, persona, patch_id, schema=schema, **columns) for persona, p in runs
    )


def read(file: Path, schema: tables.Schema, pairs: Path) -> tuple[pl.DataFrame, PromptPairs]:
    """Read a table of patched runs, and the statements of these runs.

    Parameters
    ----------
    file : Path
        Table that a sweep wrote.
    schema : dict
        Columns of the table.
    pairs : Path
        Output of stage `pairs`.

    Returns
    -------
    tuple of DataFrame and PromptPairs
        The runs, and their statements of both splits, sorted by `statement_id`.
    """
    runs = tables.read(file, schema, nullable=set(schema) - set(tables.PATCHED))
    all_pairs = prompt_pairs.read(pairs, prompt_pairs.SPLITS, None, by="split")
    return runs, all_pairs.only(runs["statement_id"])


def probabilities(runs: pl.DataFrame, **columns: Any) -> np.ndarray:
    """Return P(true) and P(false) of one run: (n_statements, 2), float32, by `statement_id`.

    Parameters
    ----------
    runs : DataFrame
        With all or some of the columns of `SCHEMA`.
    **columns
        Column values that identify the run; None stands for null.
    """
    run = runs.filter(pl.col(name).eq_missing(pl.lit(value)) for name, value in columns.items())
    return probabilities_of(run.sort("statement_id"))


def probabilities_of(rows: pl.DataFrame) -> np.ndarray:
    """Return P(true) and P(false) of rows, in their order: (n_rows, 2), float32."""
    return rows.select("p_true", "p_false").to_numpy()


def log_odds(runs: pl.DataFrame, pairs: PromptPairs, **columns: Any) -> np.ndarray:
    """Return the log-odds of the right answer in one run, in nats.

    Parameters
    ----------
    runs : DataFrame
        As in `probabilities`.
    pairs : PromptPairs
        The statements of the run.
    **columns
        As in `probabilities`; ``patch_id="none"`` with ``base`` is a persona's unpatched run.

    Returns
    -------
    ndarray of shape (n_statements,), float64
        By `statement_id`.
    """
    return patch.log_odds(probabilities(runs, **columns), pairs.label)
