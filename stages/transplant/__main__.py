"""Stage `transplant`: patch the head set on held-out statements.

Params  patch, readout, transplant
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import polars as pl

from stages.lib import forward
from stages.lib.io import cli, params, records, tables
from stages.lib.patching import experiment, patch, patched_runs, prompt_pairs, roles
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.head_set import HeadSet
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.transplant.config import TransplantConfig
from stages.transplant.schema import CONTROLS, PERSONAS, SCHEMA


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    heads: cli.HeadSet,
    out: Annotated[Path, "writes one row per statement and run (Parquet)"],
) -> None:
    """Patch the set on the report split, in both directions; random sets on fewer statements."""
    section = params.section("transplant", TransplantConfig)
    set_heads = records.read(heads, HeadSet).heads
    setting = experiment.load(pairs, model, ("report",), section.limit, by="topic")
    sample = prompt_pairs.read(pairs, ("report",), section.random_limit, by="topic")
    sampled_pairs = setting.pairs.only(sample.table["statement_id"])
    runs = [
        *_set(setting, set_heads),
        *_random(replace(setting, pairs=sampled_pairs), set_heads, section),
    ]
    if forward.is_main_process():
        rows = pl.concat(_rows(run, setting.config) for run in runs)
        tables.write(out, rows, SCHEMA, ["statement_id", "run", "draw"])


class SetRun(NamedTuple):
    """A run: its name and draw, its statements, the patched heads, and the answers."""

    name: str
    draw: int
    about: PromptPairs
    heads: list[Head]
    probabilities: np.ndarray


def _set(setting: Experiment, set_heads: list[Head]) -> list[SetRun]:
    """Run both personas unpatched, then the set both ways (arXiv:2311.15131, tables 2 to 4)."""
    patches = patch.of_heads([set_heads], *setting.shape)
    into_base = setting.patcher()(patches, "into base")
    into_source = setting.reverse()(patches, "into source")
    return [
        SetRun(name, 0, setting.pairs, heads, probabilities)
        for name, heads, probabilities in (
            ("source", [], into_base.source),
            ("patched", set_heads, into_base.patched[0]),
            ("base", [], into_base.base),
            ("reverse", set_heads, into_source.patched[0]),
        )
    ]


def _random(setting: Experiment, set_heads: list[Head], section: TransplantConfig) -> list[SetRun]:
    """Patch random sets of the same layers, and of other layers, on a sample of statements."""
    n_layers, n_heads = setting.shape
    n_sets = section.random_sets
    sets_by_control = (
        patch.random_sets(set_heads, n_heads, n_sets, section.seed),
        patch.random_elsewhere(set_heads, n_layers, n_heads, n_sets, section.seed),
    )
    numbered_sets = [
        (name, draw, heads)
        for name, sets in zip(CONTROLS, sets_by_control, strict=True)
        for draw, heads in enumerate(sets)
    ]
    patches = patch.of_heads([heads for _, _, heads in numbered_sets], n_layers, n_heads)
    answers = setting.patcher()(patches, "random sets").patched
    return [
        SetRun(name, draw, setting.pairs, heads, p)
        for (name, draw, heads), p in zip(numbered_sets, answers, strict=True)
    ]


def _rows(run: SetRun, config: PatchConfig) -> pl.DataFrame:
    """Make the rows of one run."""
    source, base = roles.personas(PERSONAS[run.name], config).values()
    patch_id, columns = f"{run.name}_{run.draw}", {"run": run.name, "draw": run.draw}
    return patched_runs.rows(
        run.about, run.probabilities, source, base, patch_id, run.heads, SCHEMA, **columns
    )


if __name__ == "__main__":
    cli.run(main)
