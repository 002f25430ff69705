"""The donor of each statement: another statement, whose z is patched in."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib.forward import batches


def donor_rows(table: pl.DataFrame, same_label: bool) -> NDArray[np.int64]:
    """Choose a donor for each statement: same topic and split, another subject.

    Parameters
    ----------
    table : DataFrame of n_statements rows
        With the columns `topic, label, subject, split`.
    same_label : bool
        Whether the donor has the statement's label or the opposite label.

    Returns
    -------
    ndarray of shape (n_statements,), int64
        Row of the donor; -1 for none. Statements take turns as donors.
    """
    columns = ("topic", "split", "label", "subject")
    rows = list(zip(*(table[name].to_list() for name in columns), strict=True))
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row, (topic, split, label, _) in enumerate(rows):
        groups.setdefault((topic, split, label), []).append(row)
    donor = np.full(len(rows), -1, np.int64)
    for topic, split, label in groups:
        candidates = groups.get((topic, split, label == same_label), [])
        for turn, row in enumerate(groups[topic, split, label]):
            # shifted by one, so that no statement is its own donor
            rotation = [
                candidates[(turn + 1 + i) % len(candidates)] for i in range(len(candidates))
            ]
            eligible = (other for other in rotation if rows[other][3] != rows[row][3])
            donor[row] = next(eligible, -1)
    return donor


@dataclass(frozen=True)
class Part:
    """Some statements, together with their donors.

    Attributes
    ----------
    own, rows : ndarray of int64
        Table rows of the part's statements, and of these statements and their donors; ascending.
    donor_rows : dict of bool to ndarray of shape (n_rows,), int64
        Index in `rows` of the donor with the same label (True) and with the opposite label (False);
        -1 for none, and for rows outside `own`.
    """

    own: NDArray[np.int64]
    rows: NDArray[np.int64]
    donor_rows: dict[bool, NDArray[np.int64]]


def parts(table: pl.DataFrame, at_once: int) -> Iterator[Part]:
    """Cut statements into parts, such that most donors are in the part of their statement.

    Parameters
    ----------
    table : DataFrame of n_statements rows
        As in `donor_rows`.
    at_once : int
        Maximal number of statements of a part, donors from other parts not counted.

    Yields
    ------
    Part
        Each statement is in `own` of exactly one part.
    """
    donor_of = {same: donor_rows(table, same) for same in (True, False)}
    turn = pl.int_range(pl.len()).over("topic", "split", "label")
    order = table.with_row_index("row").sort("topic", "split", turn, "row")["row"]
    for part_rows in batches.parts(order.to_list(), at_once):
        own = np.sort(np.array(part_rows, np.int64))
        rows = np.unique(
            np.concatenate([own, *(rows_of_label[own] for rows_of_label in donor_of.values())])
        )
        rows = rows[rows >= 0]
        is_own = np.isin(rows, own)
        yield Part(own, rows, {same: _within(rows, is_own, donor_of[same]) for same in donor_of})


def _within(
    rows: NDArray[np.int64], own: NDArray[np.bool_], donor_of: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Find the index among `rows` of each row's donor; -1 for no donor, and outside `own`."""
    donor = donor_of[rows]
    return np.where(own & (donor >= 0), np.searchsorted(rows, donor), -1)
