"""The columns of a user's file: those that it must have, and none of them twice."""

from stages.lib.facts import identity
from stages.lib.io.cli import UserError
from stages.statements.sources import shown

REQUIRED = ("statement", "label")
OPTIONAL = ("subject", "object", "template")


def checked(where: str, names: list[str], required: tuple[str, ...]) -> list[str]:
    """Check the names of columns.

    Parameters
    ----------
    where : str
        File, and row where it has one, for messages.
    names : list of str
        As they stand in the file.
    required : tuple of str
        Columns that must be there.

    Returns
    -------
    list of str
        The same names in the form by which texts are compared (`stages.lib.facts.identity`).

    Raises
    ------
    UserError
        If a column is missing, or two have one name. Columns without a name, as spreadsheets leave
        them behind, may be many: nothing reads them.
    """
    same = [identity.of(name) for name in names]
    for column in required:
        if column not in same:
            raise UserError(
                f"{where}: column {shown.value(column)} is missing, found {shown.columns(same)}"
            )
    if len(set(same)) < len(same):
        for column in same:
            if column and same.count(column) > 1:
                raise UserError(
                    f"{where}: column {shown.value(column)} is there more than once, "
                    f"found {shown.columns(same)}"
                )
    return same
