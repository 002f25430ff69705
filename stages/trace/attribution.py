"""Attribution patching at all positions that are paired: every head of the model at once."""

import numpy as np
import polars as pl

from stages.lib.patching import aligned
from stages.lib.patching.blocks import Pairs
from stages.lib.patching.experiment import Experiment
from stages.trace.schema import ESTIMATES


def run(setting: Experiment, everywhere: list[Pairs]) -> pl.DataFrame:
    """Estimate what the patch of each head at all positions adds to the right answer.

    Parameters
    ----------
    setting : Experiment
        Statements and model.
    everywhere : list of Pairs
        Positions of each statement.

    Returns
    -------
    DataFrame
        With the columns of `ESTIMATES`, one row per statement and head: in nats of log-odds of the
        right answer, exact only where the answer is linear in z.

    References
    ----------
    N. Nanda, Attribution patching (2023); A. Syed, C. Rager, A. Conmy, arXiv:2310.10348.
    """
    tables = [pl.DataFrame(schema=ESTIMATES)]
    for part, patcher, z in aligned.patchers(setting, everywhere):
        some = setting.pairs.only(setting.pairs.table["statement_id"][part])
        pairs = [everywhere[i] for i in part]
        at = aligned.mask(pairs, patcher.base.n_tail)
        right = patcher.attribution("attribution", z, at).astype(np.float64)
        right *= np.where(some.label, 1.0, -1.0)[:, None, None]
        tables.append(_rows(some.table["statement_id"], right))
    return pl.concat(tables)


def _rows(ids: pl.Series, estimates: np.ndarray) -> pl.DataFrame:
    """One row per statement and unit."""
    n, n_layers, n_units = estimates.shape
    row, layer, unit = (axis.ravel() for axis in np.indices((n, n_layers, n_units)))
    columns = {"layer": layer, "head": unit, "estimate": estimates.ravel()}
    table = pl.DataFrame({"statement_id": ids.gather(row), **columns})
    return table.select(pl.col(name).cast(dtype) for name, dtype in ESTIMATES.items())
