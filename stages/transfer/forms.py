"""What a probe may be told of a statement besides its label: topic, polarity, and its partner."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

NEGATED = "neg_"  # what the name of a split's negated form begins with
ALONE = -1


@dataclass(frozen=True)
class Forms:
    """Forms of some statements, row by row.

    Attributes
    ----------
    split : ndarray of shape (n_statements,), str
    topic : ndarray of shape (n_statements,), str
        The split without its polarity: a split and its negated form have one topic.
    negated : ndarray of shape (n_statements,), bool
        Whether the split is the negated form of another one.
    pair : ndarray of shape (n_statements,), int
        The same number for a statement and its negation, -1 where there is none. Exactly one of
        the two is true.
    """

    split: NDArray[np.str_]
    topic: NDArray[np.str_]
    negated: NDArray[np.bool_]
    pair: NDArray[np.intp]

    def __getitem__(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "Forms":
        """Forms of some of the rows."""
        return Forms(self.split[rows], self.topic[rows], self.negated[rows], self.pair[rows])

    def named(self) -> list[tuple[str, bool, str]]:
        """Topic, polarity and name of every split, sorted: each split before its negation."""
        columns = (self.topic.tolist(), self.negated.tolist(), self.split.tolist())
        return sorted(set(zip(*columns, strict=True)))

    def halves(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows of the pairs that are whole: of the plain statements, and of their negations."""
        found: dict[int, dict[bool, int]] = {}
        for row, (pair, negated) in enumerate(zip(self.pair, self.negated, strict=True)):
            if pair != ALONE:
                found.setdefault(int(pair), {})[bool(negated)] = row
        whole = [rows for _, rows in sorted(found.items()) if len(rows) == 2]
        plain, negations = ([rows[side] for rows in whole] for side in (False, True))
        return np.array(plain, np.intp), np.array(negations, np.intp)


def read(table: pl.DataFrame) -> Forms:
    """Forms of the statements of a table.

    A statement's negation has the same subject and object, the other label, and is in the split
    that is named after its own. Where several wordings say the same, they are paired in the order
    of their templates: each is the negation of each.

    Parameters
    ----------
    table : DataFrame
        Statements, any rows in any order.

    Returns
    -------
    Forms
        Row by row.
    """
    splits = set(table["split"])
    named = table["split"].to_list()
    negated = [s.startswith(NEGATED) and s.removeprefix(NEGATED) in splits for s in named]
    topics = [s.removeprefix(NEGATED) if n else s for s, n in zip(named, negated, strict=True)]
    pairs = np.full(len(table), ALONE, np.intp)
    waiting: dict[tuple[str, str, str, bool], tuple[list[int], list[int]]] = {}
    columns = table.select("subject", "object", "label", "template").with_row_index("row")
    for row, subject, object_, label, _ in columns.sort("template", "row").iter_rows():
        fact = (topics[row], subject, object_, label != negated[row])
        waiting.setdefault(fact, ([], []))[negated[row]].append(row)
    number = 0
    for _, halves in sorted(waiting.items()):
        for both in zip(*halves, strict=False):  # what has no partner stays alone
            pairs[list(both)] = number
            number += 1
    return Forms(np.array(named, str), np.array(topics, str), np.array(negated, bool), pairs)
