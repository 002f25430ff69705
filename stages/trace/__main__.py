"""Stage `trace`: z of the source run patched in, at one layer and one place of the prompt.

Params  patch, readout, trace, the wordings of both personas (to find them in the prompts)
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl

from stages.lib import forward
from stages.lib.forward.prompts import require_tokens
from stages.lib.io import cli, params, tables
from stages.lib.io.atomic import atomic
from stages.lib.patching import aligned, experiment, prompt_pairs
from stages.lib.patching.blocks import Pairs
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.trace import attribution, choice, map_runs, path_runs
from stages.trace.config import TraceConfig
from stages.trace.places import only, places, swapped
from stages.trace.schema import ALL, ESTIMATES, PARTS, PATHS, RUNS


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    out: Annotated[
        Path,
        "writes into this folder runs.parquet (every layer at every place of the prompt, in both "
        "directions, and every head of the cells that matter), paths.parquet (effect of a cell "
        "through a later cell, and around it), with one row per statement and run, and "
        "estimates.parquet (attribution patching of each head at all positions)",
    ],
) -> None:
    """Map layers and places; choose cells on `selection`; run their heads and paths on `report`."""
    section = params.section("trace", TraceConfig)
    setting = experiment.load(pairs, model, ("selection",), section.search_limit)
    selection = _placed(setting)
    report = _placed(replace(setting, pairs=_report(pairs, section.limit)))
    subset = _both_ways(report, _report(pairs, section.reverse_limit).table["statement_id"])
    config = setting.config
    prompt_places = {name: pairs for name, pairs in selection[1].items() if name in PARTS}
    selection_runs = pl.concat(
        [map_runs.unpatched(*selection), map_runs.layers(selection[0], prompt_places)]
    )
    personas = (config.source, config.base)
    cells = choice.choose(
        selection_runs, selection[0].pairs, personas, section.least, section.cells
    )
    cells = [cell for cell in cells if cell.block in report[1] and cell.block in subset[1]]
    reverse = (subset[0].swapped(), {name: swapped(of) for name, of in subset[1].items()})
    parts = [selection_runs, map_runs.unpatched(*report), map_runs.layers(*report)]
    parts += [map_runs.layers(*reverse), map_runs.heads(*report, cells)]
    routes = path_runs.run(*report, cells)
    estimates = attribution.run(report[0], report[1][ALL])
    if not forward.is_main_process():
        return
    key = ["statement_id", "base", "patch_id"]
    with atomic(out) as folder:
        tables.write(folder / "runs.parquet", pl.concat(parts), RUNS, key)
        tables.write(folder / "paths.parquet", routes, PATHS, key)
        tables.write(
            folder / "estimates.parquet", estimates, ESTIMATES, ["statement_id", "layer", "head"]
        )


def _report(pairs: Path, limit: int | None) -> PromptPairs:
    """Read statements of the report split."""
    return prompt_pairs.read(pairs, ("report",), limit, by="split")


def _both_ways(
    report: tuple[Experiment, dict[str, list[Pairs]]], ids: pl.Series
) -> tuple[Experiment, dict[str, list[Pairs]]]:
    """Keep those of the statements that are patched in the reverse direction, too, by their ids."""
    setting, at = report
    rows = np.flatnonzero(setting.pairs.table["statement_id"].is_in(ids.implode())).tolist()
    return map_runs.subset_of(setting, rows), only(at, rows)


def _placed(setting: Experiment) -> tuple[Experiment, dict[str, list[Pairs]]]:
    """Return the statements that can be patched at each place of their prompts, and the places."""
    aligned_setting, counterparts = aligned.placed(setting, "trace")
    about, n_last = aligned_setting.pairs, setting.config.positions
    if about.base:
        require_tokens("patch.positions", n_last, [*about.base, *about.source])
    return aligned_setting, places(counterparts, n_last)


if __name__ == "__main__":
    cli.run(main)
