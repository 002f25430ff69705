"""Stage `wordings`: answers to every combination of system prompt, question and prefix.

Params  grid, patch.base, prompt, readout
"""

from pathlib import Path
from typing import Annotated

import polars as pl

from stages.lib import forward
from stages.lib.forward import answers as forward_answers
from stages.lib.io import cli, params, tables
from stages.lib.model import lm, readout
from stages.lib.model.readout import ReadoutConfig
from stages.wordings import cells, grid
from stages.wordings.config import GridConfig


def main(
    statements: cli.Statements,
    model: cli.Model,
    out: Annotated[Path, "writes one row per combination of wordings and statement (Parquet)"],
) -> None:
    """Write the answers of every cell."""
    config = params.section("grid", GridConfig)
    readout_config = params.section("readout", ReadoutConfig)
    table = grid.sample(tables.read(statements, tables.STATEMENTS), config.limit)
    language_model, model_config = lm.load(model), lm.load_config(model)
    tokenizer = language_model.tokenizer
    answers = readout.answers(tokenizer, readout_config)
    grid_cells = [
        cell
        for system in config.systems
        for cell in cells.render(
            tokenizer, model_config, system, grid.wordings(config, system), table, statements
        )
    ]
    token_ids = [cell.token_ids for cell in grid_cells]
    prefixes = [cell.prefix_ids for cell in grid_cells]
    cell_arrays = list(
        forward_answers.read(language_model, answers, token_ids, "wordings", prefixes)
    )
    if forward.is_main_process():
        rows = [
            cells.rows(cell, arrays, table, tokenizer, answers)
            for cell, arrays in zip(grid_cells, cell_arrays, strict=True)
        ]
        tables.write(out, pl.concat(rows), grid.CELLS, [*grid.WORDINGS, "statement_id"])


if __name__ == "__main__":
    cli.run(main)
