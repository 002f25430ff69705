"""The table of stage `logit_attribution`: the parts of both runs' logits, per statement."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from stages.lib.io import seal, tables
from stages.lib.io.atomic import atomic

ROLES = ("source", "base")
ARRAYS = ("embedding", "heads", "attention", "mlp", "constant", "raw", "logits", "log_p", "lens")
FACTS = "facts"  # one metadata key: safetensors writes several in random order


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
class Split(Facts):
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
    arrays = {
        f"{role}.{name}": np.ascontiguousarray(getattr(part, name))
        for role, part in parts.items()
        for name in ARRAYS
    }
    metadata = {FACTS: json.dumps(asdict(facts) | {"seal": seal.OPEN}, sort_keys=True)}
    with atomic(out) as partial:
        partial.write_bytes(seal.seal(save(arrays, metadata)))


def read(file: Path) -> Split:
    """Read a file that `write` wrote.

    Raises
    ------
    UserError
        If the file is truncated or changed, or is not from this stage.
    """
    try:
        if fault := seal.fault(file.read_bytes()):
            raise ValueError(fault)
        with safe_open(file, "numpy") as opened:
            facts = json.loads(opened.metadata()[FACTS])
            facts.pop("seal", None)
            runs: dict[str, SimpleNamespace] = {}
            for key in opened.keys():  # noqa: SIM118 - it is no mapping
                role, name = key.split(".")
                setattr(runs.setdefault(role, SimpleNamespace()), name, opened.get_tensor(key))
        return Split(**facts, runs=runs)
    except Exception as error:  # safetensors has exceptions of its own for each fault
        raise tables.broken(file, error) from None
