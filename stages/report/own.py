"""Claims that nodes make themselves: a class of a node's `metrics.py` with a method `claim`."""

from pathlib import Path

from stages.lib.claim import Claim
from stages.lib.io import records
from stages.lib.results import nodes


def claims(folder: Path) -> list[Claim]:
    """Read the metrics of every node that makes a claim.

    Parameters
    ----------
    folder : Path
        Folder of the stages' metrics.

    Returns
    -------
    list of Claim
        In the order of the nodes' names, without nodes whose method `claim` returns None.
    """
    schemas = nodes.classes("*/metrics.py", "claim")
    files = [folder / f"{schema.__module__.split('.')[1]}.json" for schema in schemas]
    node_claims = [records.read(*pair).claim() for pair in zip(files, schemas, strict=True)]
    return [claim for claim in node_claims if claim is not None]
