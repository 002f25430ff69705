"""Checks of two tables row by row: about the same statements, and with prompts that differ."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from stages.lib.io.cli import UserError


def require(file: Path, found: Iterable[str], expected: Iterable[str]) -> None:
    """Check that a file's rows are the statements', in their order.

    Parameters
    ----------
    file : Path
        The file (or folder) that `found` comes from, for the message.
    found : iterable of str
        Its statement_ids.
    expected : iterable of str
        The statement_ids of statements.parquet, in the same order.

    Raises
    ------
    UserError
        Naming the file and the first statement_id that is missing or too many.
    """
    found, expected = list(found), list(expected)
    if found == expected:
        return
    missing, extra = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    detail = "the rows are in another order or repeat"
    if missing or extra:
        word, first = ("missing", missing[0]) if missing else ("unknown", extra[0])
        detail = f"{len(missing)} are missing and {len(extra)} unknown, {first} is {word}"
    raise UserError(
        f"{file}: found {len(found)} statement_ids, expected the {len(expected)} of the "
        f"statements: {detail}; run `dvc repro` to make it again"
    )


def rows(file: Path, found: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Find the rows of some statements, which must stand in the same order.

    Parameters
    ----------
    file : Path
        The file (or folder) that `found` comes from, for the message.
    found : sequence of str
        All its statement_ids.
    wanted : sequence of str
        Some of them.

    Raises
    ------
    UserError
        As `require`.
    """
    chosen = set(wanted)
    kept = [row for row, name in enumerate(found) if name in chosen]
    require(file, [found[row] for row in kept], wanted)
    return kept


def require_apart(where: str, ids: list[list[int]], others: list[list[int]]) -> None:
    """Raise `UserError` where a statement's prompts in two personas are the same.

    Parameters
    ----------
    where : str
        Files or key of both personas, for the message.
    ids, others : list of list of int
        Token ids, row by row of the same statements.
    """
    same = sum(one == other for one, other in zip(ids, others, strict=True))
    if same:
        raise UserError(
            f"{where}: the same token ids in {same} of {len(ids)} rows, expected two personas "
            "whose prompts differ; their wordings do not reach the prompt"
        )
