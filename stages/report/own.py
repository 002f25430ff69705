"""Claims that nodes make themselves: a class of a node's `metrics.py` with a method `claim`."""

from pathlib import Path

from stages.lib.claim import Claim
from stages.lib.io import metrics, nodes


def claims(folder: Path) -> list[Claim]:
    """Read the metrics of every node that makes a claim.

    Parameters
    ----------
    folder : Path
        Of the stages' metrics.

    Returns
    -------
    list of Claim
        By the names of the nodes; a node may have nothing to claim, and returns None.
    """
    schemas = nodes.classes("*/metrics.py", "claim")
    files = [folder / f"{schema.__module__.split('.')[1]}.json" for schema in schemas]
    made = [metrics.read(*pair).claim() for pair in zip(files, schemas, strict=True)]
    return [claim for claim in made if claim is not None]
