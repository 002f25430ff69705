"""Stage `behaviour`: accuracy of each persona, and the statements that the model knows.

Params  behaviour, personas
"""

from itertools import chain, combinations
from pathlib import Path
from typing import Annotated

import polars as pl

from stages.behaviour import knowledge
from stages.behaviour.config import BehaviourConfig
from stages.behaviour.metrics import BehaviourMetrics, WithFirstTokens
from stages.lib.io import cli, params, records, row_order, tables
from stages.lib.io.cli import UserError
from stages.lib.stats.answer_rates import answer, by_topic, rates, threshold_rows


def main(
    statements: cli.Statements,
    prompts: Annotated[Path, "folder of prompts, one Parquet file per persona"],
    readouts: Annotated[Path, "folder of answers, one Parquet file per persona"],
    known: Annotated[Path, "writes which statements the neutral persona knows (Parquet)"],
    metrics: cli.Metrics,
    plots: Annotated[Path, "writes accuracy.json and thresholds.json into this folder"],
) -> None:
    """Measure every declared persona, and write which statements the neutral persona knows."""
    personas, settings = params.personas(), params.section("behaviour", BehaviourConfig)
    if settings.neutral not in personas:
        raise UserError(
            f"params.yaml: behaviour.neutral: unknown persona {settings.neutral!r}, "
            f"expected one of {', '.join(personas)}"
        )
    table = tables.read(statements, tables.STATEMENTS)
    answers_of, first_tokens = {}, {}
    for persona in personas:
        file = readouts / f"{persona}.parquet"
        readout = tables.read(file, tables.READOUTS)
        row_order.require(file, readout["statement_id"], table["statement_id"])
        answers_of[persona] = answer(table, readout)
        if "first_token" in pl.scan_parquet(file, glob=False).collect_schema():
            tokens = tables.read(file, tables.FIRST_TOKENS)["first_token"]
            first_tokens[persona] = knowledge.first_token(tokens, table["subject"])
    _require_apart([prompts / f"{persona}.parquet" for persona in personas], table["statement_id"])

    rates_of = {
        persona: {topic: rates(rows) for topic, rows in by_topic(answers).items()}
        for persona, answers in answers_of.items()
    }
    accuracy = [
        knowledge.accuracy_rows(persona, topic_rates) for persona, topic_rates in rates_of.items()
    ]
    thresholds = [threshold_rows(persona, answers) for persona, answers in answers_of.items()]
    neutral = answers_of[settings.neutral]
    known_table = knowledge.know(neutral, settings)
    report_mask = (table["split"] == "report") & known_table["known"]
    summary = BehaviourMetrics(
        known=knowledge.count_known(neutral, known_table),
        known_report={
            persona: rates(answers.filter(report_mask))
            for persona, answers in answers_of.items()
            if persona != settings.neutral
        },
        personas=rates_of,
    )
    if first_tokens:
        summary = WithFirstTokens(**vars(summary), first_token=first_tokens)
    tables.write(known, known_table, tables.KNOWN, key=["statement_id"])
    tables.write_rows(plots / "accuracy.json", list(chain.from_iterable(accuracy)))
    tables.write_rows(plots / "thresholds.json", list(chain.from_iterable(thresholds)))
    records.write(metrics, summary)


def _require_apart(files: list[Path], statement_ids: pl.Series) -> None:
    """Refuse two personas with the same prompts."""
    token_ids = []
    for file in files:
        prompts = tables.read(file, tables.PROMPTS)
        row_order.require(file, prompts["statement_id"], statement_ids)
        token_ids.append(prompts["token_ids"].to_list())
    for (file, ids), (other_file, other_ids) in combinations(zip(files, token_ids, strict=True), 2):
        row_order.require_apart(f"{file} and {other_file}", ids, other_ids)


if __name__ == "__main__":
    cli.run(main)
