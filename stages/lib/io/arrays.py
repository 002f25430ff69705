"""Arrays with facts about them, in a sealed safetensors file whose bytes depend on both alone."""

import contextlib
import json
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from stages.lib.io import seal, tables
from stages.lib.io.atomic import atomic

FACTS = "facts"  # the only metadata key: safetensors writes several keys in random order


def write(out: Path, arrays: dict[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Write arrays and facts.

    Parameters
    ----------
    out : Path
        A safetensors file.
    arrays : dict of str to ndarray
        By name.
    facts : mapping of str to object
        Of what JSON holds.
    """
    metadata = {FACTS: json.dumps({**facts, "seal": seal.OPEN}, sort_keys=True)}
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with atomic(out) as partial:
        partial.write_bytes(seal.seal(save(contiguous, metadata)))


@contextlib.contextmanager
def opened(file: Path) -> Generator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """Give the facts and the arrays of a file that `write` wrote.

    Raises
    ------
    UserError
        If the file is cut or changed, or if the block under ``with`` fails: the file is then of
        another kind.
    """
    try:
        if fault := seal.fault(file.read_bytes()):
            raise ValueError(fault)
        with cast(Any, safe_open(file, "numpy")) as content:
            facts = json.loads(content.metadata()[FACTS])
            facts.pop("seal", None)
            arrays = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
        yield facts, arrays
    except Exception as error:  # safetensors has exceptions of its own for each fault
        raise tables.broken(file, error) from None
