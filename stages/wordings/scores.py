"""Stage `grid`: every combination of system prompt, question and prefix, and how well each lies.

Params  grid
"""

from pathlib import Path
from typing import Annotated

from stages.lib.io import cli, params, records, tables
from stages.wordings import grid, scores_tables
from stages.wordings.config import GridConfig
from stages.wordings.metrics import GridMetrics


def main(
    statements: cli.Statements,
    wordings: Annotated[Path, "answers to every combination of wordings (Parquet)"],
    metrics: cli.Metrics,
    plots: Annotated[Path, "writes recall.json and ranking.json into this folder"],
) -> None:
    """Measure every combination of the declared wordings."""
    config = params.section("grid", GridConfig)
    table = grid.sample(tables.read(statements, tables.STATEMENTS), config.limit)
    cells = grid.read_cells(wordings, config, table["statement_id"])
    answers_of = {names: scores_tables.answers(table, rows) for names, rows in cells.items()}
    rates_of = {
        combination: scores_tables.measure(rows) for combination, rows in answers_of.items()
    }
    lying_of = scores_tables.lying(answers_of)
    answers, lying = scores_tables.nest(rates_of), scores_tables.nest(lying_of)
    records.write(metrics, GridMetrics(answers, lying))
    tables.write_rows(plots / "recall.json", scores_tables.recall_rows(rates_of))
    tables.write_rows(plots / "ranking.json", scores_tables.ranking_rows(lying_of))


if __name__ == "__main__":
    cli.run(main)
