"""Stage `grid`: every combination of system prompt, question and prefix, and how well each lies.

Params  grid
"""

from pathlib import Path
from typing import Annotated

from stages.cells import grid, grid_tables
from stages.cells.config import GridConfig
from stages.lib.io import cli, params, tables


def main(
    statements: cli.Statements,
    cells: Annotated[Path, "folder of answers, one Parquet file per system prompt"],
    metrics: cli.Metrics,
    plots: Annotated[Path, "writes recall.json and ranking.json into this folder"],
) -> None:
    """Measure every combination of the declared wordings."""
    config = params.section("grid", GridConfig)
    table = grid.sample(tables.read(statements, tables.STATEMENTS), config.limit)
    systems = grid.read_cells(cells, config, table["statement_id"])
    by_system = {system: grid_tables.answers(table, rows) for system, rows in systems.items()}
    found = {(system, q, p): by_system[system][q, p] for system, q, p in config.combinations}
    measured = {combination: grid_tables.measure(rows) for combination, rows in found.items()}
    ranked = grid_tables.lying(found)
    splits = {
        combination: {split: rates.row() for split, rates in by_split.items()}
        for combination, by_split in measured.items()
    }
    tables.write_json(
        metrics,
        {"answers": grid_tables.nested(splits), "lying": grid_tables.nested(ranked)},
    )
    tables.write_rows(plots / "recall.json", grid_tables.recall_rows(measured))
    tables.write_rows(plots / "ranking.json", grid_tables.ranking_rows(ranked))


if __name__ == "__main__":
    cli.run(main)
