"""The statements that a patching stage works on, with their prompts in both personas."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from stages.lib.io import tables

SPLITS = ("selection", "report")


@dataclass(frozen=True)
class PromptPairs:
    """Known statements and their prompts in two personas, row by row.

    Attributes
    ----------
    table : DataFrame
        Columns `statement_id`, `topic`, `statement`, `label`, `subject`, `split`, `origin`,
        `source_text` and `base_text`; sorted by `statement_id`.
    source, base : list of list of int
        Token ids of each statement's prompt in the source and in the base persona.
    source_prefix, base_prefix : list of int, or None
        Token ids that all prompts of a persona start with; None if unknown.
    """

    table: pl.DataFrame
    source: list[list[int]]
    base: list[list[int]]
    source_prefix: list[int] | None = None
    base_prefix: list[int] | None = None

    @property
    def label(self) -> np.ndarray:
        """Whether each statement is true: (n_statements,), bool."""
        return self.table["label"].to_numpy()

    @property
    def subject(self) -> np.ndarray:
        """What each statement is about: (n_statements,), str."""
        return self.table["subject"].to_numpy()

    def only(self, statement_ids: pl.Series) -> "PromptPairs":
        """Keep the rows of some statements."""
        row_numbers = np.flatnonzero(
            self.table["statement_id"].is_in(statement_ids.unique().implode())
        )
        source, base = ([ids[i] for i in row_numbers] for ids in (self.source, self.base))
        return replace(self, table=self.table[row_numbers], source=source, base=base)

    def of_split(self, name: str) -> "PromptPairs":
        """Keep the statements of one split, one of `SPLITS`."""
        return self.only(self.table.filter(split=name)["statement_id"])


def read(pairs: Path, splits: tuple[str, ...], limit: int | None, by: str) -> PromptPairs:
    """Read known statements of some splits, spread evenly over topics and labels.

    Parameters
    ----------
    pairs : Path
        Output of stage `pairs`.
    splits : tuple of str
        Some of `SPLITS`.
    limit : int or None
        Maximum number of statements in each group of `by`; None keeps all.
    by : str
        Column that `limit` applies to: ``split`` or ``topic``.
    """
    table = tables.read(pairs, tables.PAIRS)
    prefixes = table.select("source_prefix_ids", "base_prefix_ids").head(1)
    table = table.filter(table["known"] & table["split"].is_in(splits))
    groups = [sample(group, limit, ["topic", "label"]) for _, group in table.group_by(by)]
    table = pl.concat([table.clear(), *groups]).sort("statement_id")
    ids = (table[name].to_list() for name in ("source_ids", "base_ids"))
    rest = table.drop("known", "^(source|base)_(prefix_)?ids$")
    return PromptPairs(rest, *ids, *(prefixes.rows() or [(None, None)])[0])


def sample(statements: pl.DataFrame, limit: int | None, by: list[str]) -> pl.DataFrame:
    """Choose at most `limit` statements, spread evenly over the groups of `by`.

    Parameters
    ----------
    statements : DataFrame
        With the columns `statement_id` and those in `by`.
    limit : int or None
        None keeps all.
    by : list of str
        Columns whose groups take turns. Inside a group, statements are taken in the order of
        `statement_id`. It is a hash, so the choice is as good as random, and it does not change
        when other statements are added or removed.

    Returns
    -------
    DataFrame
        Sorted by `statement_id`.
    """
    turn = pl.col("statement_id").rank("ordinal").over(by)
    sampled_statements = statements.sort(turn, "statement_id").head(
        limit if limit is not None else len(statements)
    )
    return sampled_statements.sort("statement_id")
