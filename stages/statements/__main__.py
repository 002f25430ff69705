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
    taken_names = {*listed.BUILT_IN, *(source.name for source in sources if source.topic is None)}
    draw = Draw(config.seed, config.report_share)
    drop = config.contradictions == "drop"
    topic_tables = []
    for source in sources:
        topic_tables.append(files.read(source, draw, drop, taken_names))
        taken_names |= set(topic_tables[-1]["topic"])
    if topic_tables:
        # Before the limit, which would hide some contradictions.
        table = repeats.between_files(pl.concat(topic_tables), drop)
        topic_tables = [files.first(table, config.limit)]
    for name in config.topics:
        topic = TOPICS[name]()
        topic_tables.append(arrange.rows(name, topic, draw, config.limit, negated=False))
        if config.negated:
            topic_tables.append(
                arrange.rows(NEGATED + name, topic, draw, config.limit, negated=True)
            )
    tables.write(out, pl.concat(topic_tables), tables.STATEMENTS, key=["statement_id"])


if __name__ == "__main__":
    cli.run(main)
