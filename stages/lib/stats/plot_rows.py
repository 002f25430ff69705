"""Reads numbers and intervals back from the rows of plot tables."""

from stages.lib.io.tables import Row
from stages.lib.stats import Interval


def number(row: Row, name: str) -> float | None:
    """Return the number in a column, or None.

    Parameters
    ----------
    row : dict
        Row of a plot table.
    name : str
        The column.

    Raises
    ------
    TypeError
        If the column holds a text.
    """
    value = row[name]
    if isinstance(value, str):
        raise TypeError(f"column {name!r} holds the text {value!r}, expected a number")
    return value


def integer(row: Row, name: str) -> int:
    """Return the whole number in a column; parameters as in `number`, None raises too."""
    value = number(row, name)
    if value is None or value != int(value):
        raise TypeError(f"column {name!r} holds {value!r}, expected a whole number")
    return int(value)


def interval(row: Row, name: str = "value") -> Interval:
    """Return the interval whose columns `Interval.row` made; parameters as in `number`."""
    return Interval(number(row, name), number(row, "low"), number(row, "high"), integer(row, "n"))


def second_interval(row: Row, name: str) -> Interval:
    """Return the interval whose columns `run_points.beside` made.

    Parameters
    ----------
    row : dict
        Row of a plot table, with the column ``n`` of the first interval.
    name : str
        Column of the estimate.

    Returns
    -------
    Interval
        `n` is 0 where the estimate is None.
    """
    value = number(row, name)
    n = 0 if value is None else integer(row, "n")
    return Interval(value, number(row, f"{name}_low"), number(row, f"{name}_high"), n)
