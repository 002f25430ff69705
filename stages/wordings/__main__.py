"""Stage `wordings@system`: answers for one system prompt, with every question and prefix.

Params  prompt.<system>_system, grid.questions, grid.prefixes, and what they leave to `prompt`:
        prompt.question, prompt.<base>_prefix, patch.base; grid.limit, readout

Finished cells are kept outside the repository, in $XDG_CACHE_HOME/localizing-lying (~/.cache where
that is not set): a question or prefix that changes costs its own cells, and a run that was stopped
goes on. The folder may be deleted at any time.
"""

from pathlib import Path
from typing import Annotated

import polars as pl

from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.model import lm, readout
from stages.lib.model.readout import ReadoutConfig
from stages.wordings import cells, grid
from stages.wordings.config import GridConfig


def main(
    system: Annotated[str, "name of the system prompt"],
    statements: cli.Statements,
    model: cli.Model,
    out: Annotated[Path, "writes one row per question, prefix and statement (Parquet)"],
) -> None:
    """Write the answers of every cell of one system prompt."""
    config = params.section("grid", GridConfig)
    wordings = grid.wordings(config, system)
    words = params.section("readout", ReadoutConfig)
    table = grid.sample(tables.read(statements, tables.STATEMENTS), config.limit)
    tokenizer = lm.load_tokenizer(model)
    answers = readout.answers(tokenizer, words)
    rendered = cells.render(tokenizer, lm.load_config(model), wordings, table, statements)
    names = cells.keys(rendered, model, answers)
    answered = list(cells.run(rendered, names, model, answers, f"grid, {system}"))
    if not forward.is_main_process():
        return
    rows = [
        cells.rows(cell, arrays, table, tokenizer, answers)
        for cell, arrays in zip(rendered, answered, strict=True)
    ]
    tables.write(out, pl.concat(rows), grid.CELLS, ["question", "prefix", "statement_id"])


if __name__ == "__main__":
    cli.run(main)
