"""Stage `prompts@persona`: render and tokenise every statement in one persona's wording.

Reads   --statements (Parquet), --model (the tokenizer)
Writes  --out (Parquet: text and token ids, one row a statement)
Params  prompt.question, prompt.<persona>_system, prompt.<persona>_prefix
"""

from pathlib import Path

import polars as pl

from stages.lib import chat, cli, context, lm, params, tables
from stages.lib.cli import UserError


def main(persona: str, statements: Path, model: Path, out: Path) -> None:
    """Write the prompts of one persona."""
    params.require_persona(persona)
    keys = ("question", f"{persona}_system", f"{persona}_prefix")
    question, system, prefix = (params.wording(key) for key in keys)
    table = tables.read(statements, tables.STATEMENTS)
    tokenizer = lm.load_tokenizer(model)

    chat.require_template(tokenizer)
    if chat.PLACEHOLDER not in question:
        raise UserError(f"params.yaml: prompt.question: expected {chat.PLACEHOLDER} in it")
    for key, text in zip(keys, (question, system, prefix), strict=True):
        chat.refuse_special_tokens(tokenizer, f"params.yaml: prompt.{key}", text)
    origins = [
        f"{statements}: row {row}" if origin == "built-in" else origin
        for row, origin in enumerate(table["origin"])
    ]
    for where, text in zip(origins, table["statement"], strict=True):
        chat.refuse_special_tokens(tokenizer, where, text)

    prompts = [chat.render(tokenizer, system, question, prefix, s) for s in table["statement"]]
    token_ids = [chat.encode(tokenizer, text) for text in prompts]
    context.refuse_long_prompts(lm.load_config(model), zip(origins, token_ids, strict=True))
    rows = table.select("statement_id").with_columns(
        persona=pl.lit(persona),
        text=pl.Series(prompts, dtype=pl.String),
        token_ids=pl.Series(token_ids, dtype=pl.List(pl.UInt32)),
        n_tokens=pl.Series([len(ids) for ids in token_ids], dtype=pl.UInt32),
    )
    tables.write(out, rows, tables.PROMPTS, key=["statement_id"])


if __name__ == "__main__":
    cli.run(main)
