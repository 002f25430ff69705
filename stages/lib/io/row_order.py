"""Checks that two tables have the same statements row by row, and that their prompts differ."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from stages.lib.io.cli import UserError


def require(file: Path, statement_ids: Iterable[str], expected: Iterable[str]) -> None:
    """Check that the rows of a file are the expected statements, in the same order.

    Parameters
    ----------
    file : Path
        The file or folder that `statement_ids` comes from, for the message.
    statement_ids : iterable of str
        The statement_ids of that file.
    expected : iterable of str
        The statement_ids of statements.parquet, in the same order.

    Raises
    ------
    UserError
        Naming the file and the first statement_id that is missing or unknown.
    """
    statement_ids, expected = list(statement_ids), list(expected)
    if statement_ids == expected:
        return
    missing, extra = (
        sorted(set(expected) - set(statement_ids)),
        sorted(set(statement_ids) - set(expected)),
    )
    detail = "the rows are in another order or repeat"
    if missing or extra:
        word, first = ("missing", missing[0]) if missing else ("unknown", extra[0])
        detail = f"{len(missing)} are missing and {len(extra)} unknown, {first} is {word}"
    raise UserError(
        f"{file}: found {len(statement_ids)} statement_ids, expected the {len(expected)} of the "
        f"statements: {detail}; run `dvc repro` to make it again"
    )


def rows(file: Path, statement_ids: Sequence[str], subset_ids: Sequence[str]) -> list[int]:
    """Find the rows of a subset of statements, which must stand in the same order in the file.

    Parameters
    ----------
    file : Path
        The file or folder that `statement_ids` comes from, for the message.
    statement_ids : sequence of str
        All statement_ids of that file.
    subset_ids : sequence of str
        The statement_ids to find.

    Returns
    -------
    list of int
        Row numbers, ascending.

    Raises
    ------
    UserError
        As in `require`.
    """
    subset = set(subset_ids)
    row_numbers = [row for row, name in enumerate(statement_ids) if name in subset]
    require(file, [statement_ids[row] for row in row_numbers], subset_ids)
    return row_numbers


def require_apart(where: str, ids: list[list[int]], other_ids: list[list[int]]) -> None:
    """Raise `UserError` where a statement's prompts in two personas are the same.

    Parameters
    ----------
    where : str
        Files or key of both personas, for the message.
    ids, other_ids : list of list of int
        Token ids of both personas' prompts, row by row of the same statements.
    """
    same = sum(a == b for a, b in zip(ids, other_ids, strict=True))
    if same:
        raise UserError(
            f"{where}: the same token ids in {same} of {len(ids)} rows, expected two personas "
            "whose prompts differ; their wordings do not reach the prompt"
        )
