"""Random decisions about a row: its split, and its place in the order that a limit cuts."""

import hashlib
from dataclasses import dataclass
from typing import Any

import polars as pl

from stages.lib.facts import identity
from stages.lib.io.tables import STATEMENTS


@dataclass(frozen=True)
class Draw:
    """Random decisions that depend on the seed and on a row's own text, never on other rows.

    All spellings of a text (`stages.lib.facts.identity`) give the same decisions.

    Parameters
    ----------
    seed : int
        Seed; another seed gives other splits and other rows.
    report_share : float
        Fraction of subjects in the split ``report``, between 0 and 1.
    """

    seed: int
    report_share: float

    def place(self, text: str) -> float:
        """Map a text to a number in [0, 1) that sorts texts into a random order."""
        return self._number("order", text)

    def split(self, subject: str) -> str:
        """Choose the split, ``report`` or ``selection``, of a subject: the same in every topic."""
        return "report" if self._number("part", subject) < self.report_share else "selection"

    def table(self, rows: list[dict[str, Any]]) -> pl.DataFrame:
        """Add `split` and `statement_id` to rows.

        Parameters
        ----------
        rows : list of dict
            With the columns of `stages.lib.io.tables.STATEMENTS`, except the two added ones.

        Returns
        -------
        DataFrame
            The rows in the same order, with the columns of `stages.lib.io.tables.STATEMENTS`.
        """
        statement_rows = [
            row
            | {
                "statement_id": _id(row["topic"], row["statement"]),
                "split": self.split(row["subject"]),
            }
            for row in rows
        ]
        return pl.DataFrame(statement_rows, schema=STATEMENTS)

    def _number(self, purpose: str, text: str) -> float:
        """Hash a text to a number in [0, 1)."""
        canonical = identity.of(text)
        digest = hashlib.sha256(f"{self.seed}\n{purpose}\n{canonical}".encode()).digest()
        return int.from_bytes(digest[:6]) / 2**48


def _id(topic: str, statement: str) -> str:
    """Make the id of a row, which depends on no other row and no parameter."""
    return hashlib.sha256(f"{topic}\n{identity.of(statement)}".encode()).hexdigest()[:16]
