"""Stage `grafts`: which weights of an organism its lie needs, and which suffice.

Params  grafts, patch, readout
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl

from stages.grafts import smallest
from stages.grafts.config import GraftsConfig
from stages.grafts.schema import KEY, SCHEMA
from stages.lib import forward
from stages.lib.forward import Readouts
from stages.lib.grafting import units, weights
from stages.lib.grafting.graft_runs import Graft, Grafts
from stages.lib.grafting.units import Changes, Unit
from stages.lib.io import cli, params, tables
from stages.lib.model import lm as language_model
from stages.lib.model.pretrained.files import sha256
from stages.lib.patching import experiment, patch, patched_runs
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.graft_names import ALONE, HEAD, REST, SET, WITHOUT
from stages.lib.patching.patch import Head
from stages.lib.weights import adapter


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    organisms: Annotated[Path, "folder of the model organisms' adapters"],
    out: Annotated[
        Path,
        "writes one row per statement and graft (Parquet); no rows unless the model is an organism "
        "that lies",
    ],
) -> None:
    """Search on `selection` for the smallest set of heads, then graft every part on `report`."""
    organism = tables.read_json(model / language_model.MANIFEST)["organism"]
    if organism is None or not organism["layers"]:
        if forward.is_main_process():
            tables.write(out, pl.DataFrame(schema=SCHEMA), SCHEMA, KEY)
        return
    section = params.section("grafts", GraftsConfig)
    setting = experiment.load(pairs, model, ("selection", "report"), section.limit)
    changes = weights.changes(setting.lm, organisms / organism["name"])
    digest = sha256(organisms / organism["name"] / adapter.WEIGHTS)
    selection, report = (
        replace(setting, pairs=setting.pairs.of_split(name)) for name in ("selection", "report")
    )
    all_units = units.units(setting.lm, changes)
    head_sets = _sets(selection, _grafts(selection, changes, digest), all_units, section.within)
    grafts = [Graft(run, unit) for unit in [*all_units, *head_sets] for run in (WITHOUT, ALONE)]
    unpatched = _unpatched_readouts(report)
    rows = [
        patched_runs.unpatched(
            report.pairs, unpatched.source, unpatched.base, report.config, schema=SCHEMA
        )
    ]
    for graft, p in zip(grafts, _grafts(report, changes, digest)(grafts, "grafts"), strict=True):
        size = units.size(units.part(setting.lm, changes, graft.unit))
        rows.append(_rows(report, p, graft, size))
    if forward.is_main_process():
        tables.write(out, pl.concat(rows), SCHEMA, KEY)


def _grafts(setting: Experiment, changes: Changes, digest: str) -> Grafts:
    """Prepare the base persona's prompts, to be answered with grafted weights."""
    about = setting.pairs
    return Grafts(setting.lm, setting.answers, about.base, about.base_prefix, changes, digest)


def _sets(setting: Experiment, run: Grafts, all_units: list[Unit], within: float) -> list[Unit]:
    """Find the smallest set of heads that the lie needs, and the set of all other heads."""
    heads = [Head(unit.layer or 0, unit.index or 0) for unit in all_units if unit.kind == HEAD]
    honest_accuracy = patch.correct(_unpatched_readouts(setting).source, setting.pairs.label).mean()
    needed = smallest.heads(run, heads, setting.pairs.label, float(honest_accuracy) - within)
    rest = tuple(head for head in heads if head not in needed)
    return [
        Unit(kind, heads=set_heads)
        for kind, set_heads in ((SET, needed), (REST, rest))
        if needed and set_heads
    ]


def _unpatched_readouts(setting: Experiment) -> Readouts:
    """Run both personas with the weights of the liar."""
    return setting.patcher()(np.zeros((0, *setting.shape), bool), "unpatched")


def _rows(setting: Experiment, p: np.ndarray, graft: Graft, size: float) -> pl.DataFrame:
    """Make the rows of one graft."""
    unit, base = graft.unit, setting.config.base
    columns = {"run": graft.run, "unit": unit.kind, "size": size}
    columns |= {"layer": unit.layer, "index": unit.index, "map": unit.map}
    name = f"{graft.run}_{unit}"
    return patched_runs.rows(setting.pairs, p, base, base, name, unit.heads, SCHEMA, **columns)


if __name__ == "__main__":
    cli.run(main)
