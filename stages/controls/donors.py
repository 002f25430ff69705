"""The donor of each statement: another statement, whose z is patched in."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray


def partners(table: pl.DataFrame, same_label: bool) -> NDArray[np.int64]:
    """Give each statement a donor of the same topic and split, about another subject.

    Parameters
    ----------
    table : DataFrame of n_statements rows
        With the columns `topic, label, subject, split`.
    same_label : bool
        Whether the donor has the statement's label or the opposite label.

    Returns
    -------
    ndarray of shape (n_statements,), int64
        Row of the donor; -1 where there is none. Donors take turns, so that none serves all.
    """
    columns = ("topic", "split", "label", "subject")
    rows = list(zip(*(table[name].to_list() for name in columns), strict=True))
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row, (topic, split, label, _) in enumerate(rows):
        groups.setdefault((topic, split, label), []).append(row)
    partner = np.full(len(rows), -1, np.int64)
    for topic, split, label in groups:
        lenders = groups.get((topic, split, label == same_label), [])
        for turn, row in enumerate(groups[topic, split, label]):
            # shifted by one, so that no statement is its own donor
            ahead = [lenders[(turn + 1 + i) % len(lenders)] for i in range(len(lenders))]
            others = (other for other in ahead if rows[other][3] != rows[row][3])
            partner[row] = next(others, -1)
    return partner
