"""Scores of `grafts`: which weights of an organism its lie needs, and which suffice.

Params  patch
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl

from stages.grafts import schema
from stages.grafts.metrics import (
    NEEDED,
    GraftEffect,
    GraftsMetrics,
    Metrics,
    NeededSet,
    NoLie,
    Unit,
)
from stages.lib import stats
from stages.lib.io import cli, params, records, tables
from stages.lib.io.tables import Row
from stages.lib.patching import patch, patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.graft_names import ALL, ALONE, GROUP, HEAD, LAYER, MAP, REST, SET, WITHOUT
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import Interval, needed_heads, plot_rows, ratios, run_points

REASON = "the model was not taught to lie: there are no weights to graft"


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[
        Path,
        "writes units.json (one row per part of the change of weights, and whether it is taken out "
        "or left alone) into this folder",
    ],
) -> None:
    """Measure how each part of the change affects the lie."""
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, schema.SCHEMA, pairs)
    tables.write_rows(plots / "units.json", rows(table, about, config))
    records.write(metrics, summarise(table, about, config))


def rows(runs: pl.DataFrame, about: PromptPairs, config: PatchConfig) -> list[Row]:
    """Measure both runs of every part of the change.

    Parameters
    ----------
    runs : DataFrame
        Table of stage `grafts`, with the columns of `SCHEMA`.
    about : PromptPairs
        The statements of the runs.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of dict
        Rows of plots/grafts/units.json.
    """
    names = ["unit", "layer", "index", "map", "run", "size"]
    liar, honest = (
        patched_runs.log_odds(runs, about, patch_id=patch_id, base=config.base)
        for patch_id in (patched_runs.UNPATCHED, f"{WITHOUT}_{ALL}")
    )
    full_gain = honest - liar
    result: list[Row] = []
    grafted = runs.filter(pl.col("unit").is_not_null())
    for _, unit_rows in grafted.group_by("patch_id", maintain_order=True):
        p = patched_runs.probabilities_of(unit_rows.sort("statement_id"))
        effect = _effect(p, about, liar, full_gain)
        named = unit_rows.select(names).row(0, named=True)
        result.append(
            {"part": _part(named)}
            | named
            | effect.accuracy.row("accuracy")
            | run_points.beside("log_odds", effect.log_odds)
            | run_points.beside("recovered", effect.recovered)
        )
    return sorted(result, key=lambda row: [str(row[name]) for name in names])


def summarise(runs: pl.DataFrame, about: PromptPairs, config: PatchConfig) -> Metrics:
    """Collect the effects of all parts of the change; parameters as in `rows`."""
    if runs.is_empty():
        return NoLie(reason=REASON)
    all_units = _units(rows(runs, about, config))
    layers = all_units[LAYER]
    needed = [
        int(layer) for layer, unit in layers.items() if unit.without.recovered.is_above(NEEDED)
    ]
    return GraftsMetrics(
        base=config.base,
        known=run_points.count(about.table),
        honest=_accuracy(runs, about, config.source),
        liar=_accuracy(runs, about, config.base),
        all=all_units[ALL][""],
        layers=layers,
        heads=all_units.get(HEAD, {}),
        groups=all_units.get(GROUP, {}),
        maps=all_units[MAP],
        needed_layers=needed,
        needed=NeededSet(
            heads=[[*head] for head in needed_heads.needed(runs)],
            n_changed=sum(unit.size > 0 for unit in all_units.get(HEAD, {}).values()),
            set=all_units.get(SET, {}).get(""),
            rest=all_units.get(REST, {}).get(""),
        ),
    )


def _part(row: Row) -> str:
    """Name a part, as in ``layer 21`` or ``o_proj``."""
    numbers = [str(row[name]) for name in ("layer", "index") if row[name] is not None]
    return str(row["map"] or " ".join([str(row["unit"]), ".".join(numbers)]).strip())


def _units(rows: list[Row]) -> dict[str, dict[str, Unit]]:
    """Group the two runs of each part, by kind and name."""
    parts: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        name = ".".join(str(row[key]) for key in ("layer", "index", "map") if row[key] is not None)
        parts.setdefault((str(row["unit"]), name), []).append(row)
    result: dict[str, dict[str, Unit]] = {}
    for (kind, name), part_rows in parts.items():
        effects = {row["run"]: _read(row) for row in part_rows}
        size = plot_rows.number(part_rows[0], "size") or 0.0
        unit = Unit(effects[WITHOUT], effects[ALONE], size)
        result.setdefault(kind, {})[name] = unit
    return {
        kind: dict(sorted(units.items(), key=lambda item: _order(item[0])))
        for kind, units in result.items()
    }


def _order(name: str) -> tuple[list[int], str]:
    """Make a sort key that orders numbers by value, not as text."""
    parts = name.split(".")
    return ([int(part) for part in parts], "") if all(map(str.isdigit, parts)) else ([], name)


def _read(row: Row) -> GraftEffect:
    """Read the intervals of a row."""
    return GraftEffect(
        accuracy=plot_rows.interval(row, "accuracy"),
        log_odds=plot_rows.second_interval(row, "log_odds"),
        recovered=plot_rows.second_interval(row, "recovered"),
    )


def _effect(
    p: np.ndarray, about: PromptPairs, liar: np.ndarray, full_gain: np.ndarray
) -> GraftEffect:
    """Measure one run against the liar and the model that never lies."""
    log_odds = patch.log_odds(p, about.label)
    (recovered,) = ratios.recovered((log_odds - liar)[None], full_gain, about.subject)
    return GraftEffect(
        accuracy=stats.rate(patch.correct(p, about.label), about.subject),
        log_odds=stats.mean_difference(log_odds, about.subject),
        recovered=recovered,
    )


def _accuracy(runs: pl.DataFrame, about: PromptPairs, persona: str) -> Interval:
    """Measure the accuracy of a persona with the organism's own weights."""
    p = patched_runs.probabilities(runs, patch_id=patched_runs.UNPATCHED, base=persona)
    return stats.rate(patch.correct(p, about.label), about.subject)


if __name__ == "__main__":
    cli.run(main)
