"""Runs with one layer, or one head, patched at one place of the prompt."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl

from stages.lib.patching import aligned, patched_runs
from stages.lib.patching.blocks import Pairs
from stages.lib.patching.experiment import Experiment
from stages.trace.schema import ALL, RUNS


class Cell(NamedTuple):
    """A layer at a place of the prompt."""

    layer: int
    block: str

    def __str__(self) -> str:
        """Return the name of the cell, as in ``layer 21 at the user turn``."""
        return f"layer {self.layer} at the {self.block}"


def layers(setting: Experiment, places: dict[str, list[Pairs]]) -> pl.DataFrame:
    """Patch every layer at every place into the base run of every statement.

    Parameters
    ----------
    setting : Experiment
        Statements and model.
    places : dict of str to list of Pairs
        From `places.places`.

    Returns
    -------
    DataFrame
        With the columns of `RUNS`, without unpatched runs. A statement without a position in a
        place has no row for this place.
    """
    n_layers, n_units = setting.shape
    patches = np.zeros((n_layers, n_layers, n_units), bool)
    patches[np.arange(n_layers), np.arange(n_layers)] = True
    layer_ids = [(layer, None) for layer in range(n_layers)]
    return _table(
        [
            _patched(setting, name, counterparts, patches, layer_ids)
            for name, counterparts in places.items()
        ]
    )


def heads(
    setting: Experiment, places: dict[str, list[Pairs]], cells: Iterable[Cell]
) -> pl.DataFrame:
    """Patch every head of some cells alone; parameters and columns as in `layers`."""
    tables = []
    for layer, block in cells:
        n_heads = setting.shape[1]
        patches = np.zeros((n_heads, *setting.shape), bool)
        patches[np.arange(n_heads), layer, np.arange(n_heads)] = True
        names = [(layer, head) for head in range(n_heads)]
        tables.append(_patched(setting, block, places[block], patches, names))
    return _table(tables)


def unpatched(setting: Experiment, places: dict[str, list[Pairs]]) -> pl.DataFrame:
    """Run both personas unpatched on every statement; parameters and columns as in `layers`."""
    no_patches = np.zeros((0, *setting.shape), bool)
    tables = []
    for part, patcher, _ in aligned.patchers(setting, places[ALL]):
        subset, readouts = subset_of(setting, part), patcher(no_patches, "unpatched")
        tables.append(
            patched_runs.unpatched(
                subset.pairs, readouts.source, readouts.base, setting.config, schema=RUNS
            )
        )
    return _table(tables)


def subset_of(setting: Experiment, numbers: list[int]) -> Experiment:
    """Return the experiment on some of its statements, by their indices."""
    ids = setting.pairs.table["statement_id"][numbers]
    return replace(setting, pairs=setting.pairs.only(ids))


def _patched(
    setting: Experiment,
    block: str,
    counterparts: list[Pairs],
    patches: np.ndarray,
    names: Sequence[tuple[int, int | None]],
) -> pl.DataFrame:
    """Run patches at one place, on the statements that have a position there."""
    reached_numbers = [i for i, p in enumerate(counterparts) if len(p.base)]
    reached_setting, counterparts = (
        subset_of(setting, reached_numbers),
        [counterparts[i] for i in reached_numbers],
    )
    source, base = setting.config.source, setting.config.base
    tables = []
    for part, patcher, z in aligned.patchers(reached_setting, counterparts):
        subset, part_pairs = subset_of(reached_setting, part), [counterparts[i] for i in part]
        mask = aligned.mask(part_pairs, patcher.base.n_tail)
        readouts = patcher(patches, f"{base}, {block}", z, mask)
        for (layer, head), p in zip(names, readouts.patched, strict=True):
            patch_id = "_".join(map(str, (layer, *([] if head is None else [head]), block)))
            name = patch_id.replace(" ", "_")
            where = {"layer": layer, "block": block, "head": head}
            tables.append(
                patched_runs.rows(subset.pairs, p, source, base, name, schema=RUNS, **where)
            )
    return _table(tables)


def _table(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """Concatenate tables, possibly none, into one table with the columns of `RUNS`."""
    return pl.concat([pl.DataFrame(schema=RUNS), *tables])
