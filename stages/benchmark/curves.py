"""Patch each method's top heads at all positions, and find a rival of the first set."""

import numpy as np
import polars as pl

from stages.benchmark.bench import Bench, Values
from stages.benchmark.schema import BASE, CURVES, FIRST, RIVAL, SIZES, SOURCE, first, n_heads

ENOUGH = 0.9  # share of the log-odds gap that a sufficient set restores
LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)  # set sizes that are tried


def run(report: Bench, orders: dict[str, Values]) -> pl.DataFrame:
    """Patch the top heads of each method, at MIB's ten set sizes.

    Parameters
    ----------
    report : Bench
        Statements of the report split.
    orders : dict of str to ndarray of shape (n_layers, n_heads)
        Head scores by method.

    Returns
    -------
    DataFrame
        With the columns of `CURVES`.
    """
    n_all = int(np.prod(report.shape))
    sizes = sorted({n_heads(share, n_all) for share in SIZES} - {0})
    names = [(method, size) for method in orders for size in sizes]
    patches = np.stack([first(orders[method], size) for method, size in names])
    base, source, *patched = report.log_odds(patches, True, "head sets")
    named_runs = [((BASE, 0), base), ((SOURCE, 0), source), *zip(names, patched, strict=True)]
    return pl.concat([_rows(report, *name, values) for name, values in named_runs])


def rivals(
    selection: Bench, report: Bench, order: Values
) -> tuple[pl.DataFrame, dict[str, list[list[int]]]]:
    """Find the smallest set of top heads that is sufficient, and a disjoint one (its rival).

    Parameters
    ----------
    selection, report : Bench
        Statements that the two sets are chosen on, and statements that they are scored on.
    order : ndarray of shape (n_layers, n_heads)
        Head scores.

    Returns
    -------
    DataFrame
        With the columns of `CURVES`: methods ``first`` and ``rival``.
    dict of str to list of pair of int
        Layer and head of each head of both sets. Empty where no set is sufficient.
    """
    remaining_scores, sets = order.astype(float).copy(), dict[str, np.ndarray]()
    for name in (FIRST, RIVAL):
        members = _shortest(selection, remaining_scores)
        if members is None:
            break
        sets[name] = members
        remaining_scores[members] = -np.inf
    tables = [pl.DataFrame(schema=CURVES)]
    if sets:
        _, _, *patched = report.log_odds(np.stack([*sets.values()]), True, "rivals")
        for (name, members), values in zip(sets.items(), patched, strict=True):
            tables.append(_rows(report, name, int(members.sum()), values))
    return pl.concat(tables), {
        name: np.argwhere(head_mask).tolist() for name, head_mask in sets.items()
    }


def _shortest(bench: Bench, order: Values) -> np.ndarray | None:
    """The smallest set of top heads, of sizes `LENGTHS`, that is sufficient; None if none is."""
    n_left = int(np.isfinite(order).sum())
    patches = np.stack([first(order, size) for size in LENGTHS if size <= n_left])
    base, source, *patched = bench.log_odds(patches, True, "shortest set").mean(axis=1)
    shares = (np.array(patched) - base) / (source - base)
    indices = np.flatnonzero(shares >= ENOUGH)
    return patches[indices[0]] if len(indices) and source > base else None


def _rows(bench: Bench, method: str, size: int, values: Values) -> pl.DataFrame:
    """Rows of one run, one per statement."""
    about = bench.setting.pairs.table.select("statement_id", "subject", "label")
    columns = {"method": pl.lit(method), "n_heads": pl.lit(size), "log_odds": pl.Series(values)}
    rows = about.with_columns(**columns)
    return rows.select(pl.col(name).cast(dtype) for name, dtype in CURVES.items())
