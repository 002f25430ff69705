"""Stage `statements`: true and false statements, in a selection and a report split.

Reads   tables of facts in installed packages, and the files that statements.sources lists
Params  statements
"""

from pathlib import Path
from typing import Annotated

import polars as pl

from stages.lib.facts import NEGATED, TOPICS, arrange
from stages.lib.facts.draw import Draw
from stages.lib.io import cli, params, tables
from stages.statements.config import StatementsConfig
from stages.statements.sources import files, listed, repeats

WHERE = "params.yaml: statements"


def main(out: Annotated[Path, "writes one row per statement (Parquet)"]) -> None:
    """Write the statements of all topics."""
    config = params.section("statements", StatementsConfig)
    sources = listed.read(f"{WHERE}.sources", config.sources)
    taken = {*listed.BUILT_IN, *(source.name for source in sources if source.topic is None)}
    draw = Draw(config.seed, config.report_share)
    drop = config.contradictions == "drop"
    made = []
    for source in sources:
        made.append(files.read(source, draw, drop, taken))
        taken |= set(made[-1]["topic"])
    if made:
        # Before the limit, which would hide some of them.
        table = repeats.between_files(pl.concat(made), drop)
        made = [files.first(table, config.limit)]
    for name in config.topics:
        topic = TOPICS[name]()
        made.append(arrange.rows(name, topic, draw, config.limit, negated=False))
        if config.negated:
            made.append(arrange.rows(NEGATED + name, topic, draw, config.limit, negated=True))
    tables.write(out, pl.concat(made), tables.STATEMENTS, key=["statement_id"])


if __name__ == "__main__":
    cli.run(main)
