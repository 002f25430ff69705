"""Forms of statements, which a probe may be fitted with: topic, family, polarity and pair."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib.facts import NEGATED

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
        Number of the pair of a statement and its negation, -1 for a statement without one. Exactly
        one statement of a pair is true.
    """

    topic: NDArray[np.str_]
    family: NDArray[np.str_]
    negated: NDArray[np.bool_]
    pair: NDArray[np.intp]

    def __getitem__(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "Forms":
        """Select the forms of some rows."""
        return Forms(self.topic[rows], self.family[rows], self.negated[rows], self.pair[rows])

    def topic_names(self) -> list[tuple[str, bool, str]]:
        """List family, polarity and name of every topic, each topic before its negated form."""
        columns = (self.family.tolist(), self.negated.tolist(), self.topic.tolist())
        return sorted(set(zip(*columns, strict=True)))

    def halves(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows of complete pairs: of the plain statements, and of their negations."""
        rows_of: dict[int, dict[bool, int]] = {}
        for row, (pair, negated) in enumerate(zip(self.pair, self.negated, strict=True)):
            if pair != ALONE:
                rows_of.setdefault(int(pair), {})[bool(negated)] = row
        complete_pairs = [rows for _, rows in sorted(rows_of.items()) if len(rows) == 2]
        plain, negations = ([rows[side] for rows in complete_pairs] for side in (False, True))
        return np.array(plain, np.intp), np.array(negations, np.intp)


def read(table: pl.DataFrame) -> Forms:
    """Find the forms of the statements of a table.

    The negation of a statement has the same subject and object and the other label, and its topic
    is the negated form of the statement's topic. Several templates may word one fact. Then each of
    its plain statements negates each of its negated ones, and they are paired in the order of their
    templates. Without an object it is not known which of a subject's facts a statement is about:
    such a statement has no negation.

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
    topic_names = table["topic"].to_list()
    negated = [s.startswith(NEGATED) and s.removeprefix(NEGATED) in topics for s in topic_names]
    families = [
        s.removeprefix(NEGATED) if n else s for s, n in zip(topic_names, negated, strict=True)
    ]
    pairs = np.full(len(table), ALONE, np.intp)
    waiting: dict[tuple[str, str, str, bool], tuple[list[int], list[int]]] = {}
    columns = table.select("subject", "object", "label", "template").with_row_index("row")
    with_object = columns.filter(pl.col("object") != "")
    for row, subject, object_, label, _ in with_object.sort("template", "row").iter_rows():
        fact = (families[row], subject, object_, label != negated[row])
        waiting.setdefault(fact, ([], []))[negated[row]].append(row)
    number = 0
    for _, halves in sorted(waiting.items()):
        for partners in zip(*halves, strict=False):  # a statement without a partner stays `ALONE`
            pairs[list(partners)] = number
            number += 1
    return Forms(
        np.array(topic_names, str), np.array(families, str), np.array(negated, bool), pairs
    )
