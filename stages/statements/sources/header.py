"""Check the columns of a user's file: none is missing, and none occurs twice."""

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
        File, and row of the header where the file has one, for messages.
    names : list of str
        Names as in the file.
    required : tuple of str
        Columns that must be there.

    Returns
    -------
    list of str
        The same names in the form by which texts are compared (`stages.lib.facts.identity`).

    Raises
    ------
    UserError
        If a column is missing, or two have the same name. Several columns may be without a name, as
        spreadsheets leave them behind: nothing reads them.
    """
    normal_names = [identity.of(name) for name in names]
    for column in required:
        if column not in normal_names:
            raise UserError(
                f"{where}: column {shown.value(column)} is missing, "
                f"found {shown.columns(normal_names)}"
            )
    if len(set(normal_names)) < len(normal_names):
        for column in normal_names:
            if column and normal_names.count(column) > 1:
                raise UserError(
                    f"{where}: column {shown.value(column)} is there more than once, "
                    f"found {shown.columns(normal_names)}"
                )
    return normal_names
