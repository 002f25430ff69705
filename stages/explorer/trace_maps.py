"""Effects of patches at one layer and one block of the prompt, for the traced statements."""

from pathlib import Path
from typing import Any

import polars as pl

from stages.explorer.numbers import short
from stages.lib.io import tables
from stages.lib.io.cli import UserError
from stages.lib.patching.config import PatchConfig
from stages.lib.trace_effects import effects
from stages.trace.schema import ALL, LAST, PARTS, RUNS

NULLABLE = ("layer", "block", "head")
COLUMNS = ("statement_id", "base", "layer", "head", "block", "effect")


def blocks(positions: int) -> list[str]:
    """List the columns of a map; `positions` last positions are patched in other stages."""
    return [*PARTS, LAST.format(positions), ALL]


def read(file: Path, statements: pl.DataFrame, roles: PatchConfig) -> dict[str, dict[str, Any]]:
    """Read the maps of the statements that have been traced.

    Parameters
    ----------
    file : Path
        Table of patched runs; if the file is missing, nothing was traced.
    statements : DataFrame
        The statements on the page.
    roles : PatchConfig
        Section `patch`.

    Returns
    -------
    dict of str to dict
        By statement: ``into_base`` and ``into_source``, each a list of [layer, block, effect];
        also ``into_base_heads`` and ``into_source_heads``, each a list of [layer, head, block,
        effect]. ``block`` is an index into `blocks`. ``effect`` is the change of the log-odds of
        the right answer, in nats.

    Raises
    ------
    UserError
        If a block is unknown, or a patched run lacks its unpatched run.
    """
    if not file.exists():
        return {}
    runs = tables.read(file, RUNS, nullable=NULLABLE)
    patched = effects(runs, statements)
    names = blocks(roles.positions)
    _require(file, patched, names)
    places, into = dict(zip(names, range(len(names)), strict=True)), _directions(roles)
    maps: dict[str, dict[str, Any]] = {}
    patched = patched.filter(pl.col("base").is_in(list(into))).sort(*COLUMNS[:-1])
    gained = short(patched["effect"].to_numpy())
    for (name, base, layer, head, block, _), effect in zip(
        patched.select(COLUMNS).iter_rows(), gained, strict=True
    ):
        kind = into[base] if head is None else f"{into[base]}_heads"
        place = [layer] if head is None else [layer, head]
        maps.setdefault(name, {}).setdefault(kind, []).append([*place, places[block], effect])
    return maps


def _directions(roles: PatchConfig) -> dict[str, str]:
    """Name the maps, by the persona whose run is patched."""
    return {roles.base: "into_base", roles.source: "into_source"}


def _require(file: Path, patched: pl.DataFrame, names: list[str]) -> None:
    """Raise a UserError for an unknown block, or for a patched run without its unpatched run."""
    for block in patched["block"].unique().sort().to_list():
        if block not in names:
            raise UserError(f"{file}: block {block!r}, expected one of {', '.join(names)}")
    if patched["effect"].null_count():
        row = patched.filter(pl.col("effect").is_null()).row(0, named=True)
        raise UserError(
            f"{file}: statement {row['statement_id']}: no unpatched run of {row['base']!r}, "
            "expected a row without a layer"
        )
