"""Effects of patches at one layer and one block of the prompt, of the statements that have them."""

from pathlib import Path
from typing import Any

import polars as pl

from stages.explorer.numbers import short
from stages.lib.io import tables
from stages.lib.io.cli import UserError
from stages.lib.patching import patch
from stages.lib.patching.blocks import BLOCKS as OF_PROMPT

BLOCKS = (*OF_PROMPT, "last token", "last 25", "all")
"""Columns of the map."""
SCHEMA = tables.PATCHED | {"layer": pl.Int32, "block": pl.String, "head": pl.Int32}
NULLABLE = ("layer", "block", "head")


def read(
    file: Path, about: pl.DataFrame, source: str, base: str, heads: list[list[int]]
) -> dict[str, dict[str, Any]]:
    """Read the maps of the statements that have been traced.

    Parameters
    ----------
    file : Path
        A table of patched runs; where there is none, nothing was traced.
    about : DataFrame
        The statements that are shown.
    source, base : str
        Personas.
    heads : list of list of int
        Heads whose own rows are kept.

    Returns
    -------
    dict of str to dict
        By statement: ``into_base`` and ``into_source``, each a list of [layer, block, effect];
        the same with ``_heads`` at the end, lists of [layer, head, block, effect]. A block is its
        place in `BLOCKS`. An effect is that on the log-odds of the right answer, in nats.

    Raises
    ------
    UserError
        If a block is unknown, or a patched run has no unpatched one.
    """
    if not file.exists():
        return {}
    runs = tables.read(file, SCHEMA, nullable=NULLABLE)
    runs = runs.join(about.select("statement_id", "label"), on="statement_id")
    log_odds = patch.log_odds(runs.select("p_true", "p_false").to_numpy(), runs["label"].to_numpy())
    runs = runs.with_columns(log_odds=pl.Series(log_odds, dtype=pl.Float64))
    whole = runs.filter(pl.col("layer").is_null()).select("statement_id", "base", none="log_odds")
    runs = runs.filter(pl.col("layer").is_not_null()).join(
        whole.unique(["statement_id", "base"]), on=["statement_id", "base"], how="left"
    )
    _require(file, runs)
    runs = runs.with_columns(effect=pl.col("log_odds") - pl.col("none")).sort(
        "statement_id", "base", "layer", "head", "block"
    )
    own = {tuple(head) for head in heads}
    maps: dict[str, dict[str, Any]] = {}
    effects = short(runs["effect"].to_numpy())
    columns = ("statement_id", "base", "layer", "head", "block")
    for (name, into, layer, head, block), effect in zip(
        runs.select(columns).iter_rows(), effects, strict=True
    ):
        direction = {base: "into_base", source: "into_source"}.get(into)
        if direction is None or (head is not None and (layer, head) not in own):
            continue
        place = BLOCKS.index(block)
        key = direction if head is None else f"{direction}_heads"
        cell = [layer, place, effect] if head is None else [layer, head, place, effect]
        maps.setdefault(name, {}).setdefault(key, []).append(cell)
    return maps


def _require(file: Path, runs: pl.DataFrame) -> None:
    """Raise a UserError for a block or a run that the page could not show."""
    for block in runs["block"].unique().sort().to_list():
        if block not in BLOCKS:
            raise UserError(f"{file}: block {block!r}, expected one of {', '.join(BLOCKS)}")
    if runs["none"].null_count():
        row = runs.filter(pl.col("none").is_null()).row(0, named=True)
        raise UserError(
            f"{file}: statement {row['statement_id']}: no unpatched run of {row['base']!r}, expected "
            "a row without a layer"
        )
