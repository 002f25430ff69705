"""Stage `transplant`: patch the head set into statements that it was not chosen on.

Params  patch, readout, transplant
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl

from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.patching import experiment, patch, patched_runs
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.patch import Head
from stages.transplant.config import TransplantConfig
from stages.transplant.runs import CONTROLS, SCHEMA

Run = tuple[str, str, str, list[Head], np.ndarray, int]


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    heads: cli.HeadSet,
    out: Annotated[Path, "writes one row per statement and run (Parquet)"],
) -> None:
    """Run the set on the report split of every topic, in both directions, and random sets."""
    section = params.section("transplant", TransplantConfig)
    chosen = [Head(*head) for head in tables.read_json(heads)["heads"]]
    setting = experiment.load(pairs, model, ("report",), section.limit, by="topic")
    runs = list(_runs(setting, chosen, section))
    if forward.is_main_process():
        rows = pl.concat(
            patched_runs.rows(setting.pairs, p, source, base, f"{name}_{draw}", heads).with_columns(
                run=pl.lit(name), draw=pl.lit(draw)
            )
            for name, source, base, heads, p, draw in runs
        )
        tables.write(out, rows, SCHEMA, ["statement_id", "run", "draw"])


def _runs(setting: Experiment, chosen: list[Head], section: TransplantConfig) -> Iterator[Run]:
    """Name, personas, heads, probabilities and draw of each run: unpatched, the set, random sets.

    arXiv:2311.15131, tables 2 to 4 (honest, patched liar, liar); random sets are not in it.
    """
    n_layers, n_heads = setting.shape
    source, base = setting.config.source, setting.config.base
    n_sets = section.random_sets if chosen else 0  # of no heads there is only one set
    draws = (
        patch.random_sets(chosen, n_heads, n_sets, section.seed),
        patch.random_elsewhere(chosen, n_layers, n_heads, n_sets, section.seed),
    )
    patches = patch.of_heads([chosen, *draws[0], *draws[1]], n_layers, n_heads)
    into_base = setting.patcher()(patches, "into base")
    into_source = setting.reverse()(patches[:1], "into source")
    yield "source", source, source, [], into_base.source, 0
    yield "patched", source, base, chosen, into_base.patched[0], 0
    yield "base", base, base, [], into_base.base, 0
    yield "reverse", base, source, chosen, into_source.patched[0], 0
    drawn = [
        (name, heads, draw)
        for name, sets in zip(CONTROLS, draws, strict=True)
        for draw, heads in enumerate(sets)
    ]
    for (name, heads, draw), p in zip(drawn, into_base.patched[1:], strict=True):
        yield name, source, base, heads, p, draw


if __name__ == "__main__":
    cli.run(main)
