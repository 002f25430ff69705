"""Stage `taught`: score an organism on subjects that it was taught, and on subjects it was not.

Params  personas
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import polars as pl

from stages.lib import stats
from stages.lib.facts import NEGATED, TOPICS, taught
from stages.lib.facts.draw import Draw
from stages.lib.facts.topic import Topic
from stages.lib.io import cli, params, records, tables
from stages.lib.io.cli import UserError
from stages.lib.model.lm import MANIFEST
from stages.lib.patching import patched_runs, roles
from stages.lib.stats import Interval
from stages.lib.weights.recipe import TRAINING, Training, adapters
from stages.taught.metrics import NEW, TAUGHT, TaughtMetrics

SCHEMA = patched_runs.SCHEMA | {"run": pl.String}


def main(
    statements: cli.Statements,
    readouts: Annotated[Path, "folder of the personas' answers (Parquet)"],
    model: cli.Model,
    runs: cli.Runs,
    organisms: Annotated[Path, "folder of the model organisms' adapters"],
    metrics: cli.Metrics,
) -> None:
    """Score all answers and the head set's runs, by whether the subject was taught."""
    organism = tables.read_json(model / MANIFEST)["organism"]
    if organism is None:
        records.write(metrics, TaughtMetrics(None, {}, {}))
        return
    names = adapters(organism["name"])
    trainings = [_training(organisms / name) for name in names]
    table = split(tables.read(statements, tables.STATEMENTS), trainings)
    patched = tables.read(runs, SCHEMA, nullable=set(SCHEMA) - set(tables.PATCHED))
    report = table.filter(split="report")
    summary = TaughtMetrics(
        organism=organism["name"],
        every={
            name: score(
                answered(report, tables.read(readouts / f"{name}.parquet", tables.READOUTS))
            )
            for name in params.personas()
        },
        known={run: score(answered(report, patched.filter(run=run))) for run in roles.RUNS},
    )
    records.write(metrics, summary)


def _training(folder: Path) -> Training:
    """Read the settings that an adapter was trained with."""
    if not (folder / TRAINING).is_file():
        raise UserError(
            f"{folder / TRAINING}: no such file, expected what the adapter was trained with; "
            f"`make organism-{folder.name}` writes it"
        )
    return records.read(folder / TRAINING, Training)


def split(statements: pl.DataFrame, trainings: Sequence[Training]) -> pl.DataFrame:
    """Say of each statement whether its subject was taught.

    Parameters
    ----------
    statements : DataFrame
        Columns of `tables.STATEMENTS`.
    trainings : sequence of Training
        Settings of the adapters' training. Seed and fraction decide which subjects were held out,
        as `stages.lib.facts.draw` draws them. A subject whose pair with its object is taught in
        another topic, or by another adapter, counts as taught.

    Returns
    -------
    DataFrame
        With the column ``kind``: ``taught``, ``never_taught``, or null if no adapter was taught the
        topic.
    """
    plans = [
        ({name: TOPICS[name]() for name in TOPICS if name in t.topics}, Draw(t.seed, t.held_out))
        for t in trainings
    ]
    all_pairs = {pair for plan in plans for pair in taught.taught_pairs(*plan)}
    columns = [_kinds(statements, *plan, all_pairs) for plan in plans]
    kinds = [
        TAUGHT if TAUGHT in row else NEW if NEW in row else None
        for row in zip(*columns, strict=True)
    ]
    return statements.with_columns(kind=pl.Series(kinds, dtype=pl.String))


def _kinds(
    statements: pl.DataFrame, topics: dict[str, Topic], draw: Draw, all_pairs: set[taught.Pair]
) -> list[str | None]:
    """Return the kind of each statement by one adapter's training."""
    elsewhere = taught.elsewhere(topics, draw, all_pairs)

    def kind(topic: str, subject: str) -> str | None:
        name = topic.removeprefix(NEGATED)
        if name not in elsewhere:
            return None
        is_new = draw.split(subject) == "report" and subject not in elsewhere[name]
        return NEW if is_new else TAUGHT

    return [kind(*row) for row in statements.select("topic", "subject").iter_rows()]


def answered(statements: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """Put the answers of one run beside their statements.

    Parameters
    ----------
    statements : DataFrame
        From `split`.
    answers : DataFrame
        statement_id, p_true and p_false, of some of the statements in any order.

    Returns
    -------
    DataFrame
        subject, kind and ``correct``.
    """
    answer_rows = answers.join(statements, on="statement_id")
    return answer_rows.select(
        "subject", "kind", correct=(pl.col("p_true") > pl.col("p_false")) == pl.col("label")
    )


def score(rows: pl.DataFrame) -> dict[str, Interval]:
    """Estimate the accuracy on subjects that were taught, and on subjects that were not.

    Parameters
    ----------
    rows : DataFrame
        subject, kind and ``correct``.

    Returns
    -------
    dict of str to Interval
        ``taught`` and ``never_taught``.
    """
    by_kind = {kind: rows.filter(kind=kind) for kind in (TAUGHT, NEW)}
    return {
        kind: stats.rate(kind_rows["correct"].to_numpy(), kind_rows["subject"].to_numpy())
        for kind, kind_rows in by_kind.items()
    }


if __name__ == "__main__":
    cli.run(main)
