"""Stage `set_sizes`: accuracy against the number of patched heads, ordered by several rules.

Params  set_sizes, patch, readout
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import polars as pl

from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.io.atomic import atomic
from stages.lib.patching import experiment, head_effects, patched_runs, prompt_pairs
from stages.lib.patching.head_runs import HeadRuns
from stages.set_sizes import rankings, search, set_sizes, table
from stages.set_sizes.config import SetSizesConfig


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    single_heads: Annotated[Path, "runs with each head patched alone (Parquet)"],
    attribution_patching: Annotated[Path, "estimates of each head's patch alone (Parquet)"],
    heads: Annotated[
        Path,
        "runs with each head of the best window left out (Parquet)",
    ],
    out: Annotated[
        Path,
        "writes runs.parquet (one row per statement and run) and orders.parquet (one per head in "
        "each order) into this folder",
    ],
) -> None:
    """Choose orders and sizes on the selection split, and run the curves on the report split."""
    own = params.section("set_sizes", SetSizesConfig)
    setting = experiment.load(pairs, model, ("selection",), own.search_limit)
    chosen, config = setting.pairs, setting.config
    report = prompt_pairs.read(pairs, ("report",), own.limit, by="split")
    of_window, about = patched_runs.read(heads, patched_runs.SCHEMA, pairs)
    alone = patched_runs.read(single_heads, patched_runs.SCHEMA, pairs)
    left_out = rankings.effects(of_window, about, head_effects.LEFT_OUT)
    estimated = rankings.estimated(tables.read(attribution_patching, head_effects.EFFECTS))
    single = rankings.effects(*alone, head_effects.ALONE)
    ranked = rankings.from_tables(estimated, single, left_out)
    window = rankings.by(left_out, "effect")
    random = rankings.random(*setting.shape, own.random, own.seed)
    searched = HeadRuns(setting.patcher(keep=True), chosen, setting.shape, "orders")
    result = search.search(searched, ranked, window, random, own.sizes, own.keep, own.within)
    patcher = replace(setting, pairs=report).patcher()
    patched = HeadRuns(patcher, report, setting.shape, "set_sizes")
    done = set_sizes.run(patched, result.orders, result.sizes, result.smallest)
    if not forward.is_main_process():
        return
    rows = [
        *table.rows(config, "selection", chosen, result.runs),
        *table.rows(config, "report", report, done),
        table.source_rows(config, "report", report, patched.source),
    ]
    every = pl.concat([pl.DataFrame(schema=table.SCHEMA), *rows], how="diagonal")
    ranks = table.ranks(result.orders, result.own, result.sizes)
    with atomic(out) as folder:
        tables.write(folder / "runs.parquet", every, table.SCHEMA, ["statement_id", "patch_id"])
        tables.write(folder / "orders.parquet", ranks, table.ORDERS, ["rule", "draw", "rank"])


if __name__ == "__main__":
    cli.run(main)
