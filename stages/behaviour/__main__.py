"""Stage `behaviour`: how often each persona is right, and which statements the model knows.

Reads   --statements (Parquet), --readouts (a folder of Parquet, one file a persona)
Writes  --known (Parquet), --metrics (JSON), --plots (JSON: accuracy, thresholds)
Params  behaviour, personas
"""

from pathlib import Path

import polars as pl

from stages.lib import behaviour
from stages.lib.io import alignment, cli, params, tables
from stages.lib.io.cli import UserError


def main(statements: Path, readouts: Path, known: Path, metrics: Path, plots: Path) -> None:
    """Measure every declared persona and write what the neutral one knows."""
    personas, settings = params.personas(), params.section("behaviour", behaviour.Config)
    if settings.neutral not in personas:
        raise UserError(
            f"params.yaml: behaviour.neutral: unknown persona {settings.neutral!r}, "
            f"expected one of {', '.join(personas)}"
        )
    table = tables.read(statements, tables.STATEMENTS)
    answers, firsts = {}, {}
    for persona in personas:
        file = readouts / f"{persona}.parquet"
        readout = tables.read(file, tables.READOUTS)
        alignment.require(file, readout["statement_id"], table["statement_id"])
        answers[persona] = behaviour.answer(table, readout)
        if "first_token" in pl.scan_parquet(file, glob=False).collect_schema():
            tokens = tables.read(file, tables.FIRST_TOKENS)["first_token"]
            firsts[persona] = behaviour.first_token(tokens, table["subject"])

    measured = {persona: behaviour.measure(rows) for persona, rows in answers.items()}
    knowledge = behaviour.know(answers[settings.neutral], settings)
    accuracy = [
        row for persona in personas for row in behaviour.accuracy_rows(persona, measured[persona])
    ]
    thresholds = [
        row for persona in personas for row in behaviour.threshold_rows(persona, answers[persona])
    ]
    tables.write(known, knowledge, tables.KNOWN, key=["statement_id"])
    tables.write_rows(plots / "accuracy.json", accuracy)
    tables.write_rows(plots / "thresholds.json", thresholds)
    report = (table["part"] == "report") & knowledge["known"]
    asked = [persona for persona in personas if persona != settings.neutral]  # it is right on all
    summary = {
        "known_report": {
            persona: {
                name: interval.row()
                for name, interval in behaviour.rates(rows.filter(report)).items()
            }
            for persona, rows in ((persona, answers[persona]) for persona in asked)
        },
        "personas": {
            persona: {
                split: {name: interval.row() for name, interval in intervals.items()}
                for split, intervals in splits.items()
            }
            for persona, splits in measured.items()
        },
        "known": behaviour.count_known(answers[settings.neutral], knowledge),
    }
    if firsts:
        summary["first_token"] = firsts
    tables.write_json(metrics, summary)


if __name__ == "__main__":
    cli.run(main)
