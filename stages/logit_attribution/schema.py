"""The table of stage `logit_attribution`: the parts of both runs' logits, per statement."""

from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stages.lib.io import arrays

ROLES = ("source", "base")
ARRAYS = ("embedding", "heads", "attention", "mlp", "constant", "raw", "logits", "log_p", "lens")


@dataclass(frozen=True)
class Facts:
    """What is known about the parts of both runs' logits.

    Attributes
    ----------
    statement_ids : list of str
        The statements, in the order of the arrays' first axis.
    ids, texts : list of int and list of str
        The answer tokens, those of "true" first.
    n_true : int
        Number of answer tokens of "true".
    heads_error : float
        Largest difference, in both runs, between a layer's heads and its attention, in nats.
    reason : str or None
        Why nothing was measured.
    """

    statement_ids: list[str]
    ids: list[int]
    texts: list[str]
    n_true: int
    heads_error: float
    reason: str | None


@dataclass(frozen=True)
class LogitParts(Facts):
    """Parts of both runs' logits, as read from the file.

    Attributes
    ----------
    runs : dict of str to SimpleNamespace
        By role, with the arrays of `forward.parts.Parts`; empty where nothing was measured.
    """

    runs: dict[str, SimpleNamespace]


def write(out: Path, parts: dict[str, Any], facts: Facts) -> None:
    """Write the parts of both runs, and the facts about them.

    Parameters
    ----------
    out : Path
        A safetensors file.
    parts : dict of str to Parts
        By role; empty where nothing was measured.
    facts : Facts
        Statements, answer tokens, and why nothing was measured.
    """
    contents = {
        f"{role}.{name}": getattr(part, name) for role, part in parts.items() for name in ARRAYS
    }
    arrays.write(out, contents, asdict(facts))


def read(file: Path) -> LogitParts:
    """Read a file that `write` wrote.

    Raises
    ------
    UserError
        If the file is truncated or changed, or is not from this stage.
    """
    with arrays.opened(file) as (facts, contents):
        runs: dict[str, SimpleNamespace] = {}
        for key, array in contents.items():
            role, name = key.split(".")
            setattr(runs.setdefault(role, SimpleNamespace()), name, array)
        return LogitParts(**facts, runs=runs)
