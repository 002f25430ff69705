"""Stage `pairs`: each statement with its prompts in the source and in the base persona.

Params  patch.source, patch.base
"""

from pathlib import Path
from typing import Annotated

from stages.lib.io import cli, params, row_order, tables
from stages.lib.patching.config import PatchConfig


def main(
    statements: cli.Statements,
    known: cli.Known,
    prompts: Annotated[Path, "folder of both personas' prompts, one Parquet file per persona"],
    out: Annotated[
        Path,
        "writes one row per statement, the input of every patching stage (Parquet)",
    ],
) -> None:
    """Join the tables; refuse personas whose prompts are the same."""
    roles = params.section("patch", PatchConfig)
    source, base = (prompts / f"{persona}.parquet" for persona in (roles.source, roles.base))
    table = tables.read(statements, tables.STATEMENTS)
    knowledge = tables.read(known, tables.KNOWN)
    sources, bases = (tables.read(file, tables.PROMPTS) for file in (source, base))
    for file, file_table in ((known, knowledge), (source, sources), (base, bases)):
        row_order.require(file, file_table["statement_id"], table["statement_id"])
    ids = [prompts["token_ids"].to_list() for prompts in (sources, bases)]
    row_order.require_apart(f"{source} and {base}", *ids)
    joined = table.with_columns(
        knowledge["known"],
        source_text=sources["text"],
        base_text=bases["text"],
        source_ids=sources["token_ids"],
        base_ids=bases["token_ids"],
        source_prefix_ids=sources["prefix_ids"],
        base_prefix_ids=bases["prefix_ids"],
    )
    tables.write(out, joined.select(list(tables.PAIRS)), tables.PAIRS, ["statement_id"])


if __name__ == "__main__":
    cli.run(main)
