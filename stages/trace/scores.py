"""Scores of `trace`: log-odds recovered by layer, place of the prompt, head and path.

Params  patch, trace
"""

from pathlib import Path
from typing import Annotated

import polars as pl

from stages.lib import stats
from stages.lib.io import cli, params, records, tables
from stages.lib.io.tables import Row
from stages.lib.patching import patch, patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import plot_rows, run_points
from stages.lib.stats.advantage import Advantage, Effect, advantage, effects, head_effects
from stages.trace.config import TraceConfig
from stages.trace.metrics import MOST, CellEffect, PathEffect, TraceMetrics, View
from stages.trace.schema import ALL, AROUND, LAST, PARTS, PATHS, RUNS, THROUGH

CHOSEN_BY = "share of the log-odds recovered, on the selection split"


def main(
    pairs: cli.Pairs,
    runs: Annotated[Path, "folder of stage `trace`, with runs.parquet and paths.parquet"],
    metrics: cli.Metrics,
    plots: Annotated[
        Path,
        "writes map.json (one row per layer, place of the prompt and direction) and paths.json "
        "(one per path between cells that matter) into this folder",
    ],
) -> None:
    """Score the map, and the heads and paths of the cells that matter, on the report split."""
    config = params.section("patch", PatchConfig)
    least = params.section("trace", TraceConfig).least
    table, about = patched_runs.read(runs / "runs.parquet", RUNS, pairs)
    report = about.of_split("report")
    table = table.filter(pl.col("statement_id").is_in(report.table["statement_id"].implode()))
    routes, _ = patched_runs.read(runs / "paths.parquet", PATHS, pairs)
    cells, heads = by_cell(table, report, config), by_head(table, report, config)
    through = by_path(routes, table, report, config)
    tables.write_rows(plots / "map.json", cells)
    tables.write_rows(plots / "paths.json", through)
    records.write(metrics, summarise(table, report, cells, heads, through, config, least))


def by_cell(runs: pl.DataFrame, about: PromptPairs, config: PatchConfig) -> list[Row]:
    """Score the patch of every layer at every place, in both directions.

    Parameters
    ----------
    runs : DataFrame
        Runs of stage `trace` over these statements, with the columns of `RUNS`.
    about : PromptPairs
        The statements.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of dict
        Rows of plots/trace/map.json. `run` is ``patched`` (z of the source in the base run) or
        ``reverse``. `recovered` is the share of the advantage in log-odds that the patch recovers;
        in ``reverse``, the share that it takes away.
    """
    layer_runs = runs.filter(pl.col("layer").is_not_null(), pl.col("head").is_null())
    result: list[Row] = []
    for run, source, base in _directions(config):
        persona_advantage = advantage(runs, about, source, base)
        direction_runs = layer_runs.filter(base=base)
        for block in direction_runs["block"].unique(maintain_order=True):
            for effect in effects(
                direction_runs.filter(block=block), persona_advantage, ["layer", "block"]
            ):
                result.append({"run": run, **config.personas, **effect.name} | _row(effect))
    places = [*PARTS, LAST.format(config.positions), ALL]
    return sorted(
        result, key=lambda row: (row["run"], places.index(str(row["block"])), row["layer"])
    )


def by_head(runs: pl.DataFrame, about: PromptPairs, config: PatchConfig) -> list[Row]:
    """Score each head of the cells that matter, patched alone; parameters as in `by_cell`."""
    persona_advantage = advantage(runs, about, config.source, config.base)
    return [effect.name | _row(effect) for effect in head_effects(runs, persona_advantage)]


def by_path(
    paths: pl.DataFrame, runs: pl.DataFrame, about: PromptPairs, config: PatchConfig
) -> list[Row]:
    """Return the share of each writer's gain that passes through each reader, and around it.

    Parameters
    ----------
    paths : DataFrame
        Runs of stage `trace`, with the columns of `PATHS`.
    runs, about, config
        As in `by_cell`.

    Returns
    -------
    list of dict
        Rows of plots/trace/paths.json. `share` is the gain of the run as a share of the gain with
        the writer alone patched.
    """
    persona_advantage = advantage(runs, about, config.source, config.base)
    names = ["writer_layer", "writer_block", "reader_layer", "reader_block", "run"]
    result: list[Row] = []
    for (layer, block), of_writer in paths.group_by(names[:2], maintain_order=True):
        own = runs.filter(base=config.base, layer=layer, block=block).filter(
            pl.col("head").is_null()
        )
        (writer,) = effects(own, persona_advantage, ["layer", "block"])
        writer_advantage = Advantage(
            writer.about, persona_advantage.only(own["statement_id"]).base, writer.log_odds
        )
        path_rows = of_writer.filter(pl.col("statement_id").is_in(own["statement_id"].implode()))
        for effect in effects(path_rows, writer_advantage, names):
            path = "{} {} → {} {}".format(*(effect.name[name] for name in names[:-1]))
            result.append({"path": path} | effect.name | effect.recovered.row("share"))
    return result


def summarise(
    runs: pl.DataFrame,
    about: PromptPairs,
    cells: list[Row],
    heads: list[Row],
    paths: list[Row],
    config: PatchConfig,
    least: float,
) -> TraceMetrics:
    """Collect the cells that matter, the paths between them, and the views of other positions.

    Parameters
    ----------
    runs, about, config
        As in `by_cell`.
    cells, heads, paths : list of dict
        From `by_cell`, `by_head` and `by_path`.
    least : float
        `least` of section `trace`.
    """
    through = _paths(paths)
    chosen_cells = {_name(row, "layer", "block"): row for row in heads}
    writers, readers = roles(through, [*chosen_cells])
    last = LAST.format(config.positions)
    return TraceMetrics(
        source=config.source,
        base=config.base,
        known=run_points.count(about.table),
        advantage=advantage(runs, about, config.source, config.base).interval,
        chosen_by=CHOSEN_BY,
        least=least,
        cells={
            name: _cell(plot_rows.integer(row, "layer"), str(row["block"]), cells, heads)
            for name, row in chosen_cells.items()
        },
        paths=through,
        writers=writers,
        readers=readers,
        views={name: _view(cells, block) for name, block in (("last", last), ("all", ALL))},
    )


def roles(paths: dict[str, PathEffect], cells: list[str]) -> tuple[list[str], list[str]]:
    """Find the writers and the readers among the cells that matter.

    Parameters
    ----------
    paths : dict of str to PathEffect
        By name.
    cells : list of str
        Names of the cells that matter.

    Returns
    -------
    tuple of list of str
        Writers: cells most of whose gain passes through a later cell, or through the layer of a
        later cell. Readers: the cells that this gain passes through; a layer stands for all of its
        cells that matter.
    """
    passing_paths = [path for path in paths.values() if path.through.is_above(MOST)]
    writers = {path.writer for path in passing_paths}
    reader_names = {path.reader for path in passing_paths}
    layers = {name.split(" ", 1)[0] for name in reader_names if name.endswith(f" {ALL}")}
    readers = {name for name in cells if name in reader_names or name.split(" ", 1)[0] in layers}
    return [c for c in cells if c in writers], [c for c in cells if c in readers]


def _directions(config: PatchConfig) -> tuple[tuple[str, str, str], ...]:
    """Return both directions: name, persona that gives z, persona that is patched."""
    return (("patched", config.source, config.base), ("reverse", config.base, config.source))


def _cell(layer: int, block: str, cells: list[Row], heads: list[Row]) -> CellEffect:
    """Collect the numbers of one cell."""
    patched, reverse = (
        next(r for r in cells if (r["run"], r["layer"], r["block"]) == (run, layer, block))
        for run in ("patched", "reverse")
    )
    own = [row for row in heads if (row["layer"], row["block"]) == (layer, block)]
    return CellEffect(
        layer=layer,
        block=block,
        effect=plot_rows.second_interval(patched, "effect"),
        recovered=plot_rows.second_interval(patched, "recovered"),
        accuracy=plot_rows.interval(patched, "accuracy"),
        reverse=plot_rows.second_interval(reverse, "recovered"),
        heads={str(row["head"]): plot_rows.second_interval(row, "recovered") for row in own},
    )


def _paths(rows: list[Row]) -> dict[str, PathEffect]:
    """Collect both runs of each path, by name of the path."""
    shares: dict[tuple[str, str], dict[str, stats.Interval]] = {}
    for row in rows:
        writer, reader = (
            _name(row, f"{end}_layer", f"{end}_block") for end in ("writer", "reader")
        )
        share = plot_rows.interval(row, "share")
        shares.setdefault((writer, reader), {})[str(row["run"])] = share
    return {
        f"{writer} > {reader}": PathEffect(writer, reader, own[THROUGH], own[AROUND])
        for (writer, reader), own in shares.items()
    }


def _view(cells: list[Row], block: str) -> View:
    """Find the layer that recovers most at a place."""
    shares = [
        (share, row)
        for row in cells
        if row["run"] == "patched" and row["block"] == block
        if (share := plot_rows.number(row, "recovered")) is not None
    ]
    if not shares:
        return View(None, stats.NOTHING)
    _, best = max(shares, key=lambda share: share[0])
    return View(plot_rows.integer(best, "layer"), plot_rows.second_interval(best, "recovered"))


def _row(effect: Effect) -> dict[str, float | None]:
    """Return the numbers of a run: accuracy, log-odds gained, share recovered."""
    about = effect.about
    accuracy = stats.rate(patch.correct(effect.probabilities, about.label), about.subject)
    log_odds = stats.mean_difference(effect.log_odds, about.subject)
    return (
        accuracy.row("accuracy")
        | run_points.beside("effect", log_odds)
        | run_points.beside("recovered", effect.recovered)
    )


def _name(row: Row, layer: str, block: str) -> str:
    """Return the name of a cell, by the columns of its layer and its block."""
    return f"{row[layer]} {row[block]}"


if __name__ == "__main__":
    cli.run(main)
