"""Stage `statements`: state what is true and what is false.

Reads   tables of facts in installed packages, and the files that statements.sources lists
Writes  --out (Parquet, one row a statement)
Params  statements
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from stages.lib import cli, params, sources, tables
from stages.lib.facts import NEGATED, SPLITS, arrange
from stages.lib.facts.draw import Draw
from stages.lib.sources import listed

WHERE = "params.yaml: statements"
CONTRADICTIONS = ("refuse", "drop")


@dataclass(frozen=True)
class Config:
    """The section `statements` of params.yaml."""

    splits: tuple[str, ...]
    negated: bool
    sources: dict[Any, Any]
    contradictions: str
    limit: int | None
    report_share: float
    seed: int


def main(out: Path) -> None:
    """Write the statements of all splits."""
    config = params.section("statements", Config)
    _check(config)
    taken = {"all", *SPLITS, *(NEGATED + name for name in SPLITS)}  # "all" stands for every split
    files = listed.read(f"{WHERE}.sources", config.sources, taken)
    taken |= {source.name for source in files if source.topic is None}
    draw = Draw(config.seed, config.report_share)
    drop = config.contradictions == "drop"
    made = []
    for source in files:
        made.append(sources.read(source, draw, config.limit, drop, taken))
        taken |= set(made[-1]["split"])
    for name in config.splits:
        split = SPLITS[name]()
        made.append(arrange.rows(name, split, draw, config.limit, negated=False))
        if config.negated:
            made.append(arrange.rows(NEGATED + name, split, draw, config.limit, negated=True))
    tables.write(out, pl.concat(made), tables.STATEMENTS, key=["statement_id"])


def _check(config: Config) -> None:
    """Refuse values that are of the right type and mean nothing."""
    for name in config.splits:
        if name not in SPLITS:
            known = ", ".join(SPLITS)
            raise cli.UserError(f"{WHERE}.splits: unknown split {name!r}, expected some of {known}")
        if config.splits.count(name) > 1:
            raise cli.UserError(f"{WHERE}.splits: {name!r} is listed more than once")
    if config.contradictions not in CONTRADICTIONS:
        raise cli.UserError(
            f"{WHERE}.contradictions: found {config.contradictions!r}, "
            f"expected {' or '.join(CONTRADICTIONS)}"
        )
    if not config.splits and not config.sources:
        raise cli.UserError(f"{WHERE}: no splits and no sources, expected at least one")
    if config.limit is not None and config.limit < 1:
        raise cli.UserError(f"{WHERE}.limit: found {config.limit}, expected at least 1, or null")
    if not 0 < config.report_share < 1:
        raise cli.UserError(
            f"{WHERE}.report_share: found {config.report_share}, expected between 0 and 1"
        )


if __name__ == "__main__":
    cli.run(main)
