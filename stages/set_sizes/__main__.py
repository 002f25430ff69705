"""Stage `set_sizes`: accuracy by number of patched heads, for several rules that order heads.

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
from stages.set_sizes import rankings, schema, search, set_sizes
from stages.set_sizes.config import SetSizesConfig


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    single_heads: Annotated[Path, "runs with each head patched alone (Parquet)"],
    attribution_patching: Annotated[Path, "estimated effect of patching each head alone (Parquet)"],
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
    """Choose orders and set sizes on the selection split; run the curves on the report split."""
    own = params.section("set_sizes", SetSizesConfig)
    setting = experiment.load(pairs, model, ("selection",), own.search_limit)
    selection, config = setting.pairs, setting.config
    report_pairs = prompt_pairs.read(pairs, ("report",), own.limit, by="split")
    window_runs, about = patched_runs.read(heads, patched_runs.SCHEMA, pairs)
    single_runs = patched_runs.read(single_heads, patched_runs.SCHEMA, pairs)
    left_out_effects = rankings.effects(window_runs, about, head_effects.LEFT_OUT)
    estimates, log_odds_effects = rankings.log_odds_effects(
        tables.read(attribution_patching, head_effects.EFFECTS)
    )
    single_effects = rankings.effects(*single_runs, head_effects.ALONE)
    ranked_heads = rankings.from_tables(
        estimates, log_odds_effects, single_effects, left_out_effects
    )
    window = rankings.by(left_out_effects)
    random = rankings.random(*setting.shape, own.random, own.seed)
    selection_runs = HeadRuns(setting.patcher(keep=True), selection, setting.shape, "orders")
    result = search.search(
        selection_runs, ranked_heads, window, random, own.sizes, own.keep, own.within
    )
    patcher = replace(setting, pairs=report_pairs).patcher()
    report_runs = HeadRuns(patcher, report_pairs, setting.shape, "set_sizes")
    curves = set_sizes.run(report_runs, result.orders, result.sizes, result.smallest)
    if not forward.is_main_process():
        return
    rows = [
        *schema.rows(config, "selection", selection, result.runs),
        *schema.rows(config, "report", report_pairs, curves),
        schema.source_rows(config, "report", report_pairs, report_runs.source),
    ]
    all_rows = pl.concat([pl.DataFrame(schema=schema.SCHEMA), *rows])
    ranks = schema.ranks(result.orders, result.own, result.sizes)
    with atomic(out) as folder:
        tables.write(folder / "runs.parquet", all_rows, schema.SCHEMA, ["statement_id", "patch_id"])
        tables.write(folder / "orders.parquet", ranks, schema.ORDERS, ["rule", "draw", "rank"])


if __name__ == "__main__":
    cli.run(main)
