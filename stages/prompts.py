"""Stage `prompts@persona`: render and tokenise every statement in one persona's wording.

Params  prompt.question, prompt.<persona>_system, prompt.<persona>_prefix

Prints a line where the chat template adds a system prompt of its own to a persona that has none,
and where the tokenizer changes a text.
"""

from pathlib import Path
from typing import Annotated

import polars as pl

from stages.lib import chat
from stages.lib.io import cli, params, tables
from stages.lib.model import lm


def main(
    persona: Annotated[str, "name of the persona"],
    statements: cli.Statements,
    model: cli.Model,
    out: Annotated[Path, "writes text and token ids, one row per statement (Parquet)"],
) -> None:
    """Write the prompts of one persona."""
    params.require_persona(persona)
    keys = (f"{persona}_system", "question", f"{persona}_prefix")
    where = tuple(f"params.yaml: prompt.{key}" for key in keys)
    wording = chat.Wording(*(params.wording(key) for key in keys), keys=where)
    table = tables.read(statements, tables.STATEMENTS)
    tokenizer = lm.load_tokenizer(model)
    rendered = chat.prompts(
        tokenizer, wording, chat.named(table, statements), lm.load_config(model)
    )
    for line in chat.remarks(tokenizer, wording, rendered):
        print(f"prompts, {persona}: {line}")
    rows = table.select("statement_id").with_columns(
        persona=pl.lit(persona),
        text=pl.Series(rendered.texts, dtype=pl.String),
        token_ids=pl.Series(rendered.token_ids, dtype=pl.List(pl.UInt32)),
        prefix_ids=pl.lit(rendered.prefix_ids, dtype=pl.List(pl.UInt32)),
        n_tokens=pl.Series([len(ids) for ids in rendered.token_ids], dtype=pl.UInt32),
    )
    tables.write(out, rows, tables.PROMPTS, key=["statement_id"])


if __name__ == "__main__":
    cli.run(main)
