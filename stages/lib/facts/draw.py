"""What chance decides about a row: its split, and its place in the order that a limit cuts."""

import hashlib
from dataclasses import dataclass
from typing import Any

import polars as pl

from stages.lib.facts import identity
from stages.lib.io.tables import STATEMENTS


@dataclass(frozen=True)
class Draw:
    """A draw that depends on the seed and on a row's own text, never on the other rows.

    Spellings of one text (`stages.lib.facts.identity`) draw the same.

    Parameters
    ----------
    seed : int
        Of another seed come other splits and other rows.
    report_share : float
        Share of subjects in the split ``report``, between 0 and 1.
    """

    seed: int
    report_share: float

    def place(self, text: str) -> float:
        """A number in [0, 1), by which texts are put in a random order."""
        return self._number("order", text)

    def split(self, subject: str) -> str:
        """``report`` or ``selection``; the same for a subject in every topic."""
        return "report" if self._number("part", subject) < self.report_share else "selection"

    def table(self, rows: list[dict[str, Any]]) -> pl.DataFrame:
        """Rows with their split and their name.

        Parameters
        ----------
        rows : list of dict
            With the columns of `stages.lib.io.tables.STATEMENTS` but for the two that are added.

        Returns
        -------
        DataFrame
            One row each, in the same order, with `statement_id` and `split`.
        """
        drawn = [
            row
            | {
                "statement_id": _id(row["topic"], row["statement"]),
                "split": self.split(row["subject"]),
            }
            for row in rows
        ]
        return pl.DataFrame(drawn, schema=STATEMENTS)

    def _number(self, purpose: str, text: str) -> float:
        """The hash of a text, as a number in [0, 1)."""
        same = identity.of(text)
        digest = hashlib.sha256(f"{self.seed}\n{purpose}\n{same}".encode()).digest()
        return int.from_bytes(digest[:6]) / 2**48


def _id(topic: str, statement: str) -> str:
    """The name of a row, which no other row and no parameter changes."""
    return hashlib.sha256(f"{topic}\n{identity.of(statement)}".encode()).hexdigest()[:16]
