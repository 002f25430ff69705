"""Stage `behaviour`: how often each persona is right, and which statements the model knows.

Params  behaviour, personas
"""

from itertools import combinations
from pathlib import Path
from typing import Annotated

import polars as pl

from stages.behaviour import knowledge
from stages.behaviour.config import BehaviourConfig
from stages.lib.io import alignment, cli, params, tables
from stages.lib.io.cli import UserError
from stages.lib.stats import answer_rates


def main(
    statements: cli.Statements,
    prompts: Annotated[Path, "folder of prompts, one Parquet file per persona"],
    readouts: Annotated[Path, "folder of answers, one Parquet file per persona"],
    known: Annotated[Path, "writes which statements the neutral persona knows (Parquet)"],
    metrics: cli.Metrics,
    plots: Annotated[Path, "writes accuracy.json and thresholds.json into this folder"],
) -> None:
    """Measure every declared persona and write what the neutral one knows."""
    personas, settings = params.personas(), params.section("behaviour", BehaviourConfig)
    if settings.neutral not in personas:
        raise UserError(
            f"params.yaml: behaviour.neutral: unknown persona {settings.neutral!r}, "
            f"expected one of {', '.join(personas)}"
        )
    table = tables.read(statements, tables.STATEMENTS)
    given, firsts = {}, {}
    for persona in personas:
        file = readouts / f"{persona}.parquet"
        readout = tables.read(file, tables.READOUTS)
        alignment.require(file, readout["statement_id"], table["statement_id"])
        given[persona] = answer_rates.answer(table, readout)
        if "first_token" in pl.scan_parquet(file, glob=False).collect_schema():
            tokens = tables.read(file, tables.FIRST_TOKENS)["first_token"]
            firsts[persona] = knowledge.first_token(tokens, table["subject"])
    _require_apart([prompts / f"{persona}.parquet" for persona in personas], table["statement_id"])

    measured = {persona: answer_rates.measure(rows) for persona, rows in given.items()}
    knows = knowledge.know(given[settings.neutral], settings)
    accuracy = [
        row for persona in personas for row in knowledge.accuracy_rows(persona, measured[persona])
    ]
    thresholds = [
        row for persona in personas for row in answer_rates.threshold_rows(persona, given[persona])
    ]
    tables.write(known, knows, tables.KNOWN, key=["statement_id"])
    tables.write_rows(plots / "accuracy.json", accuracy)
    tables.write_rows(plots / "thresholds.json", thresholds)
    report = (table["part"] == "report") & knows["known"]
    asked = [persona for persona in personas if persona != settings.neutral]  # it is right on all
    summary = {
        "known_report": {
            persona: {
                name: interval.row()
                for name, interval in answer_rates.rates(rows.filter(report)).items()
            }
            for persona, rows in ((persona, given[persona]) for persona in asked)
        },
        "personas": {
            persona: {
                split: {name: interval.row() for name, interval in intervals.items()}
                for split, intervals in splits.items()
            }
            for persona, splits in measured.items()
        },
        "known": knowledge.count_known(given[settings.neutral], knows),
    }
    if firsts:
        summary["first_token"] = firsts
    tables.write_json(metrics, summary)


def _require_apart(files: list[Path], statement_ids: pl.Series) -> None:
    """Refuse two personas whose prompts are the same."""
    token_ids = []
    for file in files:
        found = tables.read(file, tables.PROMPTS)
        alignment.require(file, found["statement_id"], statement_ids)
        token_ids.append(found["token_ids"].to_list())
    for (file, ids), (other, others) in combinations(zip(files, token_ids, strict=True), 2):
        alignment.require_apart(f"{file} and {other}", ids, others)


if __name__ == "__main__":
    cli.run(main)
