"""Path patching: what of a cell's effect passes through a later cell."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

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
from stages.trace.schema import ALL, AROUND, PATHS, THROUGH

Path = tuple[Cell, Cell]


def paths(cells: list[Cell]) -> list[Path]:
    """Pair each cell with each cell of a later layer, and with that layer at all positions."""
    pairs = [(writer, reader) for writer in cells for reader in cells]
    later = [(writer, reader) for writer, reader in pairs if writer.layer < reader.layer]
    whole = [(writer, Cell(reader.layer, ALL)) for writer, reader in later]
    return list(dict.fromkeys(sorted([*later, *whole])))


def run(setting: Experiment, places: dict[str, list[Pairs]], cells: list[Cell]) -> pl.DataFrame:
    """Patch a reader with what it computes where the writer is patched, and the reverse.

    Parameters
    ----------
    setting : Experiment
        Statements and model.
    places : dict of str to list of Pairs
        From `places.places`.
    cells : list of Cell
        Those that matter.

    Returns
    -------
    DataFrame
        With the columns of `PATHS`, one row per statement, path and run. A place that a statement
        lacks is not patched in it.

    References
    ----------
    Goldowsky-Dill, MacLeod, Sato and Arora, Localizing Model Behavior with Path Patching,
    arXiv:2304.05969.
    """
    tables = [pl.DataFrame(schema=PATHS)]
    for part, patcher, z in aligned.patchers(setting, places[ALL]):
        ids = setting.pairs.table["statement_id"][part]
        some = replace(setting, pairs=setting.pairs.only(ids))
        at = {name: _mask([pairs[i] for i in part], patcher) for name, pairs in places.items()}
        if cells:
            given = patcher.z("z")[1] if z is None else z
            tables += _rows(some, patcher, given, at, paths(cells))
    return pl.concat(tables)


def _rows(
    setting: Experiment,
    patcher: Patcher,
    source: Tensor,
    at: dict[str, np.ndarray],
    every: list[Path],
) -> Iterator[pl.DataFrame]:
    """Rows of every path, a writer at a time."""
    personas = (setting.config.source, setting.config.base)
    own = _z_after(setting, patcher, source, None, at)
    for writer, of_writer in groupby(every, key=lambda path: path[0]):
        after = _z_after(setting, patcher, source, writer, at)
        for _, reader in of_writer:
            where = {THROUGH: at[reader.block], AROUND: at[writer.block] | at[reader.block]}
            z = {THROUGH: after, AROUND: _around(own, after, source, (writer, reader), at)}
            layers = {THROUGH: [reader.layer], AROUND: [writer.layer, reader.layer]}
            for name in (THROUGH, AROUND):
                patches = np.zeros((1, *setting.shape), bool)
                patches[0, layers[name]] = True
                title = f"{writer} {name} {reader}"
                (p,) = patcher(patches, title, z[name], where[name]).patched
                rows = patched_runs.rows(setting.pairs, p, *personas, title.replace(" ", "_"))
                yield rows.drop("heads").with_columns(_columns(name, writer, reader))


def _around(
    own: Tensor, after: Tensor, source: Tensor, path: Path, at: dict[str, np.ndarray]
) -> Tensor:
    """What is written so that the writer is patched and the reader keeps the base run's z.

    Both are patched at the positions of both: where one of them is not to change, the z that it
    has anyway is written.
    """
    writer, reader = path
    written, read = (torch.as_tensor(at[cell.block])[..., None, None] for cell in path)
    z = own.clone()
    z[writer.layer] = torch.where(written, source[writer.layer], own[writer.layer])
    z[reader.layer] = torch.where(read, own[reader.layer], after[reader.layer])
    return z


def _z_after(
    setting: Experiment,
    patcher: Patcher,
    source: Tensor,
    writer: Cell | None,
    at: dict[str, np.ndarray],
) -> Tensor:
    """Z of the base run with the writer patched, or with nothing: as `Patcher.z` gives it."""
    lm, site, ids, n_tail = setting.lm, setting.site, setting.pairs.base, patcher.base.n_tail
    prompts = PlainPrompts(lm, ids, n_tail, site)
    lengths = np.array([len(tokens) for tokens in ids])

    def after(rows: list[int]) -> dict[str, np.ndarray]:
        base = prompts.run(rows)
        if writer is None:
            return {"z": batches.numbers(base.z.transpose(0, 1))}
        patches = np.zeros((1, *setting.shape), bool)
        patches[0, writer.layer] = True
        written = torch.as_tensor(at[writer.block][rows])
        with hooks.capture(lm, n_tail, site) as captured:
            prompts.patched(rows, base, source[:, rows].to(base.z), patches, written)
        layers = torch.stack([layer.float().cpu() for layer in captured["z"]], dim=1)
        return {"z": batches.numbers(torch.unflatten(layers, -1, site.shape(lm)))}

    same = [np.flatnonzero(lengths == length).tolist() for length in np.unique(lengths)]
    results = [*batches.each(prompts, batches.share(same), after)]
    every = batches.assemble(batches.gather(results), len(ids))["z"]
    return torch.as_tensor(every).transpose(0, 1)


def _mask(pairs: list[Pairs], patcher: Patcher) -> np.ndarray:
    """Mark the positions of a place: (n_statements, n_positions), bool."""
    return aligned.mask(pairs, patcher.base.n_tail)


def _columns(run: str, writer: Cell, reader: Cell) -> list[pl.Expr]:
    """Say which path it is."""
    values = {
        "run": run,
        "writer_layer": writer.layer,
        "writer_block": writer.block,
        "reader_layer": reader.layer,
        "reader_block": reader.block,
    }
    return [pl.lit(value, PATHS[name]).alias(name) for name, value in values.items()]
