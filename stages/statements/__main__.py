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
    table = pl.concat([*topic_tables, *_built_in(config, draw)])
    if sources:
        # Before the limit of the files' topics, which would hide some contradictions.
        table = repeats.between_sources(table, drop)
        is_built_in = pl.col("origin") == arrange.BUILT_IN
        own = table.filter(~is_built_in)
        repeats.require_one_subject(own)
        own = files.first(own, config.limit)
        table = pl.concat([own, repeats.without_repeats(table.filter(is_built_in), own)])
    tables.write(out, table, tables.STATEMENTS, key=["statement_id"])


def _built_in(config: StatementsConfig, draw: Draw) -> list[pl.DataFrame]:
    """Return the statements of each built-in topic."""
    topics = {name: TOPICS[name]() for name in config.topics}
    polarities = {"": False} | ({NEGATED: True} if config.negated else {})
    return [
        arrange.rows(polarity + name, topic, draw, config.limit, negated)
        for name, topic in topics.items()
        for polarity, negated in polarities.items()
    ]


if __name__ == "__main__":
    cli.run(main)
