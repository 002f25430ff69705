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
        """Name it, as in ``layer 21 at the user turn``."""
        return f"layer {self.layer} at the {self.block}"


def layers(setting: Experiment, places: dict[str, list[Pairs]]) -> pl.DataFrame:
    """Patch every layer at every place, in the base run of every statement.

    Parameters
    ----------
    setting : Experiment
        Statements and model.
    places : dict of str to list of Pairs
        From `places.places`.

    Returns
    -------
    DataFrame
        With the columns of `RUNS`, without unpatched runs. A statement that has no position in a
        place has no row there.
    """
    n_layers, n_units = setting.shape
    patches = np.zeros((n_layers, n_layers, n_units), bool)
    patches[np.arange(n_layers), np.arange(n_layers)] = True
    whole = [(layer, None) for layer in range(n_layers)]
    return _table([_patched(setting, name, at, patches, whole) for name, at in places.items()])


def heads(
    setting: Experiment, places: dict[str, list[Pairs]], cells: Iterable[Cell]
) -> pl.DataFrame:
    """Patch every head of some cells alone; as `layers`."""
    tables = []
    for layer, block in cells:
        n_heads = setting.shape[1]
        patches = np.zeros((n_heads, *setting.shape), bool)
        patches[np.arange(n_heads), layer, np.arange(n_heads)] = True
        names = [(layer, head) for head in range(n_heads)]
        tables.append(_patched(setting, block, places[block], patches, names))
    return _table(tables)


def unpatched(setting: Experiment, places: dict[str, list[Pairs]]) -> pl.DataFrame:
    """Both personas' own runs of every statement; as `layers`."""
    nothing = np.zeros((0, *setting.shape), bool)
    tables = []
    for part, patcher, _ in aligned.patchers(setting, places[ALL]):
        some, readouts = _some(setting, part), patcher(nothing, "unpatched")
        for persona, p in (
            (setting.config.source, readouts.source),
            (setting.config.base, readouts.base),
        ):
            rows = patched_runs.rows(some.pairs, p, persona, persona)
            tables.append(_placed(rows, None, None, None))
    return _table(tables)


def _patched(
    setting: Experiment,
    block: str,
    at: list[Pairs],
    patches: np.ndarray,
    names: Sequence[tuple[int, int | None]],
) -> pl.DataFrame:
    """Run some patches at one place."""
    there = [i for i, p in enumerate(at) if p.reach]
    here, at = _some(setting, there), [at[i] for i in there]
    source, base = setting.config.source, setting.config.base
    tables = []
    for part, patcher, z in aligned.patchers(here, at):
        some, own = _some(here, part), [at[i] for i in part]
        mask = aligned.mask(own, patcher.base.n_tail)
        readouts = patcher(patches, f"{base}, {block}", z, mask)
        for (layer, head), p in zip(names, readouts.patched, strict=True):
            patch_id = "_".join(map(str, (layer, *([] if head is None else [head]), block)))
            rows = patched_runs.rows(some.pairs, p, source, base, patch_id.replace(" ", "_"))
            tables.append(_placed(rows, layer, block, head))
    return _table(tables)


def _some(setting: Experiment, numbers: list[int]) -> Experiment:
    """The same experiment on some of its statements."""
    ids = setting.pairs.table["statement_id"][numbers]
    return replace(setting, pairs=setting.pairs.only(ids))


def _placed(
    rows: pl.DataFrame, layer: int | None, block: str | None, head: int | None
) -> pl.DataFrame:
    """Say where a run was patched."""
    where = {"layer": layer, "block": block, "head": head}
    columns = [pl.lit(value, RUNS[name]).alias(name) for name, value in where.items()]
    return rows.drop("heads").with_columns(columns)


def _table(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """One table of all rows, which may be none."""
    return pl.concat([pl.DataFrame(schema=RUNS), *tables])
