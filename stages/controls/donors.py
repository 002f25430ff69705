"""The donor of each statement: another statement, whose z is patched in."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib.forward import batches


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


@dataclass(frozen=True)
class Part:
    """Some statements and those that lend them their z.

    Attributes
    ----------
    own, rows : ndarray of int64
        Rows of these statements, and of them and their partners together; both ascending.
    partners : dict of bool to ndarray of shape (n_rows,), int64
        Place in `rows` of the partner with the same label, and with the other one; -1 where there
        is none, and for those that are there as partners.
    """

    own: NDArray[np.int64]
    rows: NDArray[np.int64]
    partners: dict[bool, NDArray[np.int64]]


def parts(table: pl.DataFrame, at_once: int) -> Iterator[Part]:
    """Cut statements into parts, so that most have their partners in their own part.

    Parameters
    ----------
    table : DataFrame of n_statements rows
        As in `partners`.
    at_once : int
        Most statements of a part, partners of other parts apart.

    Yields
    ------
    Part
        Each statement is in one part's `own`.
    """
    lender = {same: partners(table, same) for same in (True, False)}
    turn = pl.int_range(pl.len()).over("topic", "split", "label")
    order = table.with_row_index("row").sort("topic", "split", turn, "row")["row"]
    for some in batches.parts(order.to_list(), at_once):
        own = np.sort(np.array(some, np.int64))
        rows = np.unique(np.concatenate([own, *(one[own] for one in lender.values())]))
        rows = rows[rows >= 0]
        is_own = np.isin(rows, own)
        yield Part(own, rows, {same: _within(rows, is_own, lender[same]) for same in lender})


def _within(
    rows: NDArray[np.int64], own: NDArray[np.bool_], lender: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Place of each row's partner among the rows, -1 where it has none or is not to have one."""
    partner = lender[rows]
    return np.where(own & (partner >= 0), np.searchsorted(rows, partner), -1)
