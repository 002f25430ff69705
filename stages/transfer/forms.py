"""What a probe may be told of a statement besides its label: family, polarity, and its partner."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

NEGATED = "neg_"  # what the name of a topic's negated form begins with
ALONE = -1


@dataclass(frozen=True)
class Forms:
    """Forms of some statements, row by row.

    Attributes
    ----------
    topic : ndarray of shape (n_statements,), str
    family : ndarray of shape (n_statements,), str
        The topic without its polarity: a topic and its negated form have one family.
    negated : ndarray of shape (n_statements,), bool
        Whether the topic is the negated form of another one.
    pair : ndarray of shape (n_statements,), int
        The same number for a statement and its negation, -1 where there is none. Exactly one of
        the two is true.
    """

    topic: NDArray[np.str_]
    family: NDArray[np.str_]
    negated: NDArray[np.bool_]
    pair: NDArray[np.intp]

    def __getitem__(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "Forms":
        """Forms of some of the rows."""
        return Forms(self.topic[rows], self.family[rows], self.negated[rows], self.pair[rows])

    def named(self) -> list[tuple[str, bool, str]]:
        """Family, polarity and name of every topic, sorted: each topic before its negation."""
        columns = (self.family.tolist(), self.negated.tolist(), self.topic.tolist())
        return sorted(set(zip(*columns, strict=True)))

    def halves(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows of the pairs that are whole: of the plain statements, and of their negations."""
        rows_of: dict[int, dict[bool, int]] = {}
        for row, (pair, negated) in enumerate(zip(self.pair, self.negated, strict=True)):
            if pair != ALONE:
                rows_of.setdefault(int(pair), {})[bool(negated)] = row
        whole = [rows for _, rows in sorted(rows_of.items()) if len(rows) == 2]
        plain, negations = ([rows[side] for rows in whole] for side in (False, True))
        return np.array(plain, np.intp), np.array(negations, np.intp)


def read(table: pl.DataFrame) -> Forms:
    """Forms of the statements of a table.

    A statement's negation has the same subject and object, the other label, and is in the topic
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
    topics = set(table["topic"])
    named = table["topic"].to_list()
    negated = [s.startswith(NEGATED) and s.removeprefix(NEGATED) in topics for s in named]
    families = [s.removeprefix(NEGATED) if n else s for s, n in zip(named, negated, strict=True)]
    pairs = np.full(len(table), ALONE, np.intp)
    waiting: dict[tuple[str, str, str, bool], tuple[list[int], list[int]]] = {}
    columns = table.select("subject", "object", "label", "template").with_row_index("row")
    for row, subject, object_, label, _ in columns.sort("template", "row").iter_rows():
        fact = (families[row], subject, object_, label != negated[row])
        waiting.setdefault(fact, ([], []))[negated[row]].append(row)
    number = 0
    for _, halves in sorted(waiting.items()):
        for both in zip(*halves, strict=False):  # what has no partner stays alone
            pairs[list(both)] = number
            number += 1
    return Forms(np.array(named, str), np.array(families, str), np.array(negated, bool), pairs)
