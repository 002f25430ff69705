"""Which other statement lends its z to a statement."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray


def partners(table: pl.DataFrame, same_label: bool) -> NDArray[np.int64]:
    """Give each statement a partner of the same split and part, about another subject.

    Parameters
    ----------
    table : DataFrame of n_statements rows
        With the columns `split, label, subject, part`.
    same_label : bool
        Whether the partner has the statement's label or the other one.

    Returns
    -------
    ndarray of shape (n_statements,), int64
        Row of the partner; -1 where there is none. Partners take turns: none is everyone's.
    """
    columns = ("split", "part", "label", "subject")
    rows = list(zip(*(table[name].to_list() for name in columns), strict=True))
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row, (split, part, label, _) in enumerate(rows):
        groups.setdefault((split, part, label), []).append(row)
    found = np.full(len(rows), -1, np.int64)
    for split, part, label in groups:
        lenders = groups.get((split, part, label == same_label), [])
        for turn, row in enumerate(groups[split, part, label]):
            # the one that stands one further on, so that nobody is its own partner
            ahead = [lenders[(turn + 1 + i) % len(lenders)] for i in range(len(lenders))]
            others = (other for other in ahead if rows[other][3] != rows[row][3])
            found[row] = next(others, -1)
    return found
