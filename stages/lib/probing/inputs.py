"""Inputs of probes: every persona's activations, and their statements."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib import shards
from stages.lib.io import row_order, tables
from stages.lib.io.cli import UserError
from stages.lib.probing import probe
from stages.lib.probing.probe import Design


@dataclass(frozen=True)
class Inputs:
    """Statements and activations, row by row.

    Attributes
    ----------
    table : DataFrame
        Columns of `tables.STATEMENTS`.
    design : Design
        Which statements probes are fitted on, and which they are scored on.
    readers : list of Reader
        One per persona.
    """

    table: pl.DataFrame
    design: Design
    readers: list[shards.Reader]

    def layer(self, site: str, layer: int) -> NDArray[np.float32]:
        """Read every persona's activations at one layer.

        Returns
        -------
        ndarray of shape (n_personas, n_statements, [n_heads,] d), float32

        Raises
        ------
        UserError
            If an activation is not finite.
        """
        splits = [reader.layer(site, layer) for reader in self.readers]
        for reader, split in zip(self.readers, splits, strict=True):
            if not np.isfinite(split).all():
                raise UserError(f"{reader.folder}: {site} of layer {layer} is not finite")
        return np.stack(splits)


def read(statements: Path, known: Path, activations: Path, personas: tuple[str, ...]) -> Inputs:
    """Read the statements, and open every persona's activations.

    Parameters
    ----------
    statements, known : Path
        Tables of `tables.STATEMENTS` and `tables.KNOWN`.
    activations : Path
        Folder with a subfolder of shards per persona.
    personas : tuple of str

    Raises
    ------
    UserError
        If a table or a folder has other statements, or another order.
    """
    table = tables.read(statements, tables.STATEMENTS)
    knowledge = tables.read(known, tables.KNOWN)
    row_order.require(known, knowledge["statement_id"], table["statement_id"])
    readers = [shards.Reader(activations / persona) for persona in personas]
    for reader in readers:
        row_order.require(reader.folder, reader.statement_ids, table["statement_id"])
    columns = (table["label"], table["subject"], table["split"] == "selection", knowledge["known"])
    return Inputs(table, probe.design(*(column.to_numpy() for column in columns)), readers)
