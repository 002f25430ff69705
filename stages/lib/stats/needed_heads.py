"""The heads that the lie needs, read from the runs with grafted weights."""

import polars as pl

from stages.lib.patching.graft_names import SET
from stages.lib.patching.patch import Head


def needed(runs: pl.DataFrame) -> list[Head]:
    """Return the smallest set of heads that the lie needs; no head where no set was found.

    Parameters
    ----------
    runs : DataFrame
        Runs of stage `grafts`: columns `unit` and `heads`.

    Returns
    -------
    list of Head
        In the order of the table.
    """
    heads = runs.filter(unit=SET)["heads"].head(1).explode().to_list()
    return [Head(head["layer"], head["head"]) for head in heads]
