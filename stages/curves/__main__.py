"""Stage `curves`: accuracy against the number of heads that are written, by several orders.

Reads   --pairs, --model;
        --effects and --estimates (every head alone, truly patched and estimated), --heads (every
        head of the best window left out), --runs (patched runs of `heads`, not to be run again)
Writes  --out (one row a statement and run), --orders (the heads in each order), --metrics,
        --plots: curves.json, areas.json, smallest.json
Params  curves, patch, readout
"""

from dataclasses import replace
from pathlib import Path

import polars as pl

from stages.curves import curve_scores, curve_search, curves, rankings
from stages.curves.config import Config
from stages.curves.head_scores import Runs
from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.patching import cases, experiment, patched_runs


def main(
    pairs: Path,
    model: Path,
    effects: Path,
    estimates: Path,
    heads: Path,
    runs: Path,
    out: Path,
    orders: Path,
    metrics: Path,
    plots: Path,
) -> None:
    """Choose orders and sizes on the selection part, and draw the curves on the report part."""
    own = params.section("curves", Config)
    setting = experiment.load(pairs, model, ("selection",), own.search_limit)
    chosen, config = setting.cases, setting.config
    report = cases.read(pairs, ("report",), own.limit, by="part")
    of_window = tables.read_json(heads)
    ranked = rankings.from_tables(tables.read_json(estimates), tables.read_json(effects), of_window)
    searched = Runs(setting.patcher(keep=True), chosen, *setting.shape, "orders")
    searched.remember(tables.read(runs, patched_runs.SCHEMA))
    window = rankings.window(of_window)
    random = rankings.random(*setting.shape, own.random, own.seed)
    found = curve_search.search(searched, ranked, window, random, own.sizes, own.keep, own.within)
    patched = Runs(replace(setting, cases=report).patcher(), report, *setting.shape, "curves")
    done = curves.run(patched, found.orders, found.sizes, found.smallest)
    if not forward.is_main_process():
        return
    rows = curves.rows(config, "selection", chosen, found.runs)
    rows += curves.rows(config, "report", report, done.curves | done.smallest)
    table = pl.concat([pl.DataFrame(schema=curves.SCHEMA), *rows])
    tables.write(out, table, curves.SCHEMA, ["statement_id", "patch_id"])
    tables.write(orders, curves.ranks(found.orders), curves.ORDERS, ["rule", "draw", "rank"])
    scores = curve_scores.score(done)
    tables.write_json(
        metrics,
        {"source": config.source, "base": config.base}
        | curve_scores.summarise(done, scores, found),
    )
    tables.write_rows(plots / "curves.json", curves.points(done))
    tables.write_rows(plots / "areas.json", curve_scores.points(scores))
    tables.write_rows(plots / "smallest.json", curves.smallest_points(done))


if __name__ == "__main__":
    cli.run(main)
