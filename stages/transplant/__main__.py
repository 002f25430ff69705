"""Stage `transplant`: patch the head set on statements that did not choose it.

Params  patch, readout, transplant
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import polars as pl

from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.patching import experiment, patch, patched_runs, prompt_pairs
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.transplant.config import TransplantConfig
from stages.transplant.runs import CONTROLS, PERSONAS, SCHEMA


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    heads: cli.HeadSet,
    out: Annotated[Path, "writes one row per statement and run (Parquet)"],
) -> None:
    """Run the set on the report split of every topic, in both directions; random sets on fewer."""
    section = params.section("transplant", TransplantConfig)
    chosen = [Head(*head) for head in tables.read_json(heads)["heads"]]
    setting = experiment.load(pairs, model, ("report",), section.limit, by="topic")
    few = prompt_pairs.read(pairs, ("report",), section.random_limit, by="topic")
    sampled = setting.pairs.only(few.table["statement_id"])
    runs = [*_set(setting, chosen), *_random(replace(setting, pairs=sampled), chosen, section)]
    if forward.is_main_process():
        source, base = setting.config.source, setting.config.base
        tables.write(
            out,
            pl.concat(_rows(run, source, base) for run in runs),
            SCHEMA,
            ["statement_id", "run", "draw"],
        )


class Run(NamedTuple):
    """A run: its name and draw, its statements, the patched heads, and the answers."""

    name: str
    draw: int
    about: PromptPairs
    heads: list[Head]
    probabilities: np.ndarray


def _set(setting: Experiment, chosen: list[Head]) -> list[Run]:
    """Both unpatched runs, and the set in both directions (arXiv:2311.15131, tables 2 to 4)."""
    patches = patch.of_heads([chosen], *setting.shape)
    into_base = setting.patcher()(patches, "into base")
    into_source = setting.reverse()(patches, "into source")
    return [
        Run(name, 0, setting.pairs, heads, probabilities)
        for name, heads, probabilities in (
            ("source", [], into_base.source),
            ("patched", chosen, into_base.patched[0]),
            ("base", [], into_base.base),
            ("reverse", chosen, into_source.patched[0]),
        )
    ]


def _random(setting: Experiment, chosen: list[Head], section: TransplantConfig) -> list[Run]:
    """Random sets of the same layers, and of other layers, on a sample of the statements."""
    n_layers, n_heads = setting.shape
    n_sets = section.random_sets if chosen else 0  # of no heads there is only one set
    draws = (
        patch.random_sets(chosen, n_heads, n_sets, section.seed),
        patch.random_elsewhere(chosen, n_layers, n_heads, n_sets, section.seed),
    )
    drawn = [
        (name, draw, heads)
        for name, sets in zip(CONTROLS, draws, strict=True)
        for draw, heads in enumerate(sets)
    ]
    patches = patch.of_heads([heads for _, _, heads in drawn], n_layers, n_heads)
    answers = setting.patcher()(patches, "random sets").patched
    return [
        Run(name, draw, setting.pairs, heads, p)
        for (name, draw, heads), p in zip(drawn, answers, strict=True)
    ]


def _rows(run: Run, source: str, base: str) -> pl.DataFrame:
    """One run's rows."""
    of, into = PERSONAS[run.name]
    names = {"source": source, "base": base}
    table = patched_runs.rows(
        run.about,
        run.probabilities,
        names[of],
        names[into],
        f"{run.name}_{run.draw}",
        run.heads,
    )
    return table.with_columns(run=pl.lit(run.name), draw=pl.lit(run.draw))


if __name__ == "__main__":
    cli.run(main)
