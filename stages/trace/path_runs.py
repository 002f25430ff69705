"""Path patching: the part of a cell's effect that passes through a later cell."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from stages.lib.forward import Patcher, batches, hooks
from stages.lib.forward.plain import PlainPrompts
from stages.lib.patching import aligned, patched_runs
from stages.lib.patching.blocks import Pairs
from stages.lib.patching.experiment import Experiment
from stages.trace.map_runs import Cell
from stages.trace.schema import ALL, AROUND, PARTS, PATHS, THROUGH

Path = tuple[Cell, Cell]


def paths(cells: list[Cell]) -> list[Path]:
    """Pair each cell with each cell of a later layer, and with that layer at all positions."""
    pairs = [(writer, reader) for writer in cells for reader in cells]
    cell_paths = [(writer, reader) for writer, reader in pairs if writer.layer < reader.layer]
    layer_paths = [(writer, Cell(reader.layer, ALL)) for writer, reader in cell_paths]
    return list(dict.fromkeys(sorted([*cell_paths, *layer_paths])))


def run(setting: Experiment, places: dict[str, list[Pairs]], cells: list[Cell]) -> pl.DataFrame:
    """Run each path twice: effect of the writer through the reader alone, and around the reader.

    Parameters
    ----------
    setting : Experiment
        Statements and model.
    places : dict of str to list of Pairs
        From `places.places`.
    cells : list of Cell
        Cells that matter.

    Returns
    -------
    DataFrame
        With the columns of `PATHS`, one row per statement, path and run. In a statement without a
        position in a place, nothing is patched there.

    References
    ----------
    Goldowsky-Dill, MacLeod, Sato and Arora, Localizing Model Behavior with Path Patching,
    arXiv:2304.05969.
    """
    tables = [pl.DataFrame(schema=PATHS)]
    for part, patcher, z in aligned.patchers(setting, places[ALL]):
        ids = setting.pairs.table["statement_id"][part]
        subset = replace(setting, pairs=setting.pairs.only(ids))
        masks = {
            name: _mask([pairs[i] for i in part], patcher)
            for name, pairs in places.items()
            if name in PARTS or name == ALL  # the last positions may lie outside of all pairs
        }
        if cells:
            source_z = patcher.z("z")[1] if z is None else z
            tables += _rows(subset, patcher, source_z, masks, paths(cells))
    return pl.concat(tables)


def _rows(
    setting: Experiment,
    patcher: Patcher,
    source: Tensor,
    masks: dict[str, np.ndarray],
    every: list[Path],
) -> Iterator[pl.DataFrame]:
    """Run every path, one writer at a time, and return its rows."""
    personas = (setting.config.source, setting.config.base)
    base_z = _z_after(setting, patcher, source, None, masks)
    for writer, of_writer in groupby(every, key=lambda path: path[0]):
        patched_z = _z_after(setting, patcher, source, writer, masks)
        for _, reader in of_writer:
            where = {
                THROUGH: masks[reader.block],
                AROUND: masks[writer.block] | masks[reader.block],
            }
            z = {
                THROUGH: patched_z,
                AROUND: _around(base_z, patched_z, source, (writer, reader), masks),
            }
            layers = {THROUGH: [reader.layer], AROUND: [writer.layer, reader.layer]}
            for name in (THROUGH, AROUND):
                patches = np.zeros((1, *setting.shape), bool)
                patches[0, layers[name]] = True
                title = f"{writer} {name} {reader}"
                (p,) = patcher(patches, title, z[name], where[name]).patched
                patch_id, columns = title.replace(" ", "_"), _columns(name, writer, reader)
                yield patched_runs.rows(
                    setting.pairs, p, *personas, patch_id, schema=PATHS, **columns
                )


def _around(
    base_z: Tensor, patched_z: Tensor, source: Tensor, path: Path, masks: dict[str, np.ndarray]
) -> Tensor:
    """Return the z to patch in so that the writer is patched and the reader keeps its base z.

    Both layers are patched at the union of both cells' positions. Where a layer is not to change,
    this z is the one that the layer has there anyway.
    """
    writer, reader = path
    writer_mask, reader_mask = (
        torch.as_tensor(masks[cell.block])[..., None, None] for cell in path
    )
    z = base_z.clone()
    z[writer.layer] = torch.where(writer_mask, source[writer.layer], base_z[writer.layer])
    z[reader.layer] = torch.where(reader_mask, base_z[reader.layer], patched_z[reader.layer])
    return z


def _z_after(
    setting: Experiment,
    patcher: Patcher,
    source: Tensor,
    writer: Cell | None,
    masks: dict[str, np.ndarray],
) -> Tensor:
    """Return z of the base run with the writer patched, or unpatched; shape as in `Patcher.z`."""
    lm, site, ids, n_tail = setting.lm, setting.site, setting.pairs.base, patcher.base.n_tail
    prompts = PlainPrompts(lm, ids, n_tail, site)
    lengths = np.array([len(tokens) for tokens in ids])

    def patched_z(rows: list[int]) -> dict[str, np.ndarray]:
        if writer is None:
            return {"z": batches.numbers(prompts.run(rows).z.transpose(0, 1))}
        patches = np.zeros((1, *setting.shape), bool)
        patches[0, writer.layer] = True
        writer_mask = torch.as_tensor(masks[writer.block][rows])
        with hooks.capture(lm, n_tail, site) as captured:
            prompts.patched(rows, None, source[:, rows].to(lm.device), patches, writer_mask)
        layers = torch.stack([layer.float().cpu() for layer in captured["z"]], dim=1)
        return {"z": batches.numbers(torch.unflatten(layers, -1, site.shape(lm)))}

    by_length = [np.flatnonzero(lengths == length).tolist() for length in np.unique(lengths)]
    results = [*batches.map_batches(prompts, batches.share(by_length), patched_z)]
    every = batches.assemble(batches.gather(results), len(ids))["z"]
    return torch.as_tensor(every).transpose(0, 1)


def _mask(pairs: list[Pairs], patcher: Patcher) -> np.ndarray:
    """Return the mask of the positions of a place: (n_statements, n_positions), bool."""
    return aligned.mask(pairs, patcher.base.n_tail)


def _columns(run: str, writer: Cell, reader: Cell) -> dict[str, Any]:
    """Return the columns that name a path and its run."""
    return {
        "run": run,
        "writer_layer": writer.layer,
        "writer_block": writer.block,
        "reader_layer": reader.layer,
        "reader_block": reader.block,
    }
