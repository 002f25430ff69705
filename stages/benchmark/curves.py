"""Head sets by each method's order, patched at all positions, and a rival of the first set."""

import numpy as np
import polars as pl

from stages.benchmark.bench import Bench, Values
from stages.benchmark.schema import BASE, CURVES, FIRST, RIVAL, SIZES, SOURCE, first, n_heads

ENOUGH = 0.9  # share of the honest log-odds that a set must restore to be enough
LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)  # of sets that are tried


def run(report: Bench, orders: dict[str, Values]) -> pl.DataFrame:
    """Patch the first heads of each order, at MIB's ten sizes.

    Parameters
    ----------
    report : Bench
        Statements of the report split.
    orders : dict of str to ndarray of shape (n_layers, n_heads)
        Scores, by method.

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
    named = [((BASE, 0), base), ((SOURCE, 0), source), *zip(names, patched, strict=True)]
    return pl.concat([_rows(report, *name, values) for name, values in named])


def rivals(
    selection: Bench, report: Bench, order: Values
) -> tuple[pl.DataFrame, dict[str, list[list[int]]]]:
    """Find the shortest first part of an order that is enough, and the shortest of what is left.

    Parameters
    ----------
    selection, report : Bench
        Statements to choose the two sets on, and to report on.
    order : ndarray of shape (n_layers, n_heads)
        Scores.

    Returns
    -------
    DataFrame
        With the columns of `CURVES`: methods ``first`` and ``rival``.
    dict of str to list of pair of int
        Layer and head of each head of both sets. Empty where no set is enough.
    """
    left, sets = order.astype(float).copy(), dict[str, np.ndarray]()
    for name in (FIRST, RIVAL):
        chosen = _shortest(selection, left)
        if chosen is None:
            break
        sets[name] = chosen
        left[chosen] = -np.inf
    tables = [pl.DataFrame(schema=CURVES)]
    if sets:
        _, _, *patched = report.log_odds(np.stack([*sets.values()]), True, "rivals")
        for (name, chosen), values in zip(sets.items(), patched, strict=True):
            tables.append(_rows(report, name, int(chosen.sum()), values))
    return pl.concat(tables), {name: np.argwhere(some).tolist() for name, some in sets.items()}


def _shortest(bench: Bench, order: Values) -> np.ndarray | None:
    """The shortest of some first parts of an order that restores enough; None if none does."""
    n_left = int(np.isfinite(order).sum())
    patches = np.stack([first(order, size) for size in LENGTHS if size <= n_left])
    base, source, *patched = bench.log_odds(patches, True, "shortest set").mean(axis=1)
    shares = (np.array(patched) - base) / (source - base)
    enough = np.flatnonzero(shares >= ENOUGH)
    return patches[enough[0]] if len(enough) and source > base else None


def _rows(bench: Bench, method: str, size: int, values: Values) -> pl.DataFrame:
    """Rows of one run."""
    about = bench.setting.pairs.table.select("statement_id", "subject", "label")
    columns = {"method": pl.lit(method), "n_heads": pl.lit(size), "log_odds": pl.Series(values)}
    rows = about.with_columns(**columns)
    return rows.select(pl.col(name).cast(dtype) for name, dtype in CURVES.items())
