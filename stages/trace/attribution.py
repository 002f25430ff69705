"""Attribution patching at all paired positions, for all heads of the model at once."""

import numpy as np
import polars as pl

from stages.lib.patching import aligned, patch
from stages.lib.patching.blocks import Pairs
from stages.lib.patching.experiment import Experiment
from stages.trace.schema import ESTIMATES


def run(setting: Experiment, counterparts: list[Pairs]) -> pl.DataFrame:
    """Estimate the effect of patching each head at all positions on the right answer.

    Parameters
    ----------
    setting : Experiment
        Statements and model.
    counterparts : list of Pairs
        Paired positions of each statement.

    Returns
    -------
    DataFrame
        With the columns of `ESTIMATES`, one row per statement and head. The estimate is in nats of
        log-odds of the right answer; it is exact only where the log-odds are linear in z.

    References
    ----------
    N. Nanda, Attribution patching (2023); A. Syed, C. Rager, A. Conmy, arXiv:2310.10348.
    """
    tables = [pl.DataFrame(schema=ESTIMATES)]
    for part, patcher, z in aligned.patchers(setting, counterparts):
        statements = setting.pairs.only(setting.pairs.table["statement_id"][part])
        pairs = [counterparts[i] for i in part]
        is_patched = aligned.mask(pairs, patcher.base.n_tail)
        estimates = patcher.attribution("attribution", z, is_patched)
        log_odds = patch.toward_right(estimates, statements.label)
        tables.append(_rows(statements.table["statement_id"], log_odds))
    return pl.concat(tables)


def _rows(ids: pl.Series, estimates: np.ndarray) -> pl.DataFrame:
    """Return one row per statement and unit."""
    n, n_layers, n_units = estimates.shape
    row, layer, unit = (axis.ravel() for axis in np.indices((n, n_layers, n_units)))
    columns = {"layer": layer, "head": unit, "estimate": estimates.ravel()}
    table = pl.DataFrame({"statement_id": ids.gather(row), **columns})
    return table.select(pl.col(name).cast(dtype) for name, dtype in ESTIMATES.items())
