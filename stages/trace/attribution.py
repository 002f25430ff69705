"""Attribution patching at all positions that are paired: every head of the model at once."""

import numpy as np
import polars as pl
import torch
from torch import Tensor

from stages.lib.forward import Patcher, batches, budget
from stages.lib.model.readout import log_probabilities
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
        chosen = [np.ones(len(p.base), bool) for p in pairs]
        at = aligned.mask(pairs, chosen, patcher.base.n_tail)
        source = patcher.z("attribution")[1] if z is None else z
        toward_true = _toward_true(setting, patcher, source, torch.as_tensor(at))
        right = toward_true * np.where(some.label, 1.0, -1.0)[:, None, None]
        tables.append(_rows(some.table["statement_id"], right))
    return pl.concat(tables)


def _toward_true(setting: Experiment, patcher: Patcher, source: Tensor, at: Tensor) -> np.ndarray:
    """Estimates of log P(true) - log P(false): (n_statements, n_layers, n_units)."""
    prompts, lm = patcher.base, setting.lm
    fit = budget.graphs_at_once(lm, prompts.n_graph, prompts.longest)
    results: list[batches.Rows] = []
    every = range(len(prompts.token_ids))
    for rows in batches.share(batches.of_like_length(prompts, every, min(batches.gather([fit])))):
        base = prompts.run(rows, keep=True)
        gradient = prompts.gradient(rows, base, lambda logits: _score(setting, logits))
        moved = (source[:, rows].to(base.z) - base.z) * at[rows][..., None, None].to(base.z)
        effect = (moved * gradient).float().sum(dim=(2, 4))
        results.append((rows, {"effect": batches.numbers(effect.transpose(0, 1))}))
    return batches.assemble(batches.gather(results), len(every))["effect"]


def _score(setting: Experiment, logits: Tensor) -> Tensor:
    """Log P(true) - log P(false) of each row."""
    both = log_probabilities(logits, setting.answers)
    return both[:, 0] - both[:, 1]


def _rows(ids: pl.Series, estimates: np.ndarray) -> pl.DataFrame:
    """One row per statement and unit."""
    n, n_layers, n_units = estimates.shape
    row, layer, unit = (axis.ravel() for axis in np.indices((n, n_layers, n_units)))
    columns = {"layer": layer, "head": unit, "estimate": estimates.ravel()}
    table = pl.DataFrame({"statement_id": ids.gather(row), **columns})
    return table.select(pl.col(name).cast(dtype) for name, dtype in ESTIMATES.items())
