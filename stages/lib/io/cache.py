"""Finished work kept between runs, in a cache outside the repository.

DVC deletes a stage's outputs before it runs the stage. What took long is kept here, under a hash of
all that it depends on: a run that was stopped goes on where it was, and an edit costs what it
changes. Deleting the cache changes nothing but time.
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from stages.lib.io.atomic import atomic
from stages.lib.io.cli import UserError

FOLDER = "localizing-lying"
N_HASH = 64  # hexadecimal digits of a sha256, with which a file begins


def key(facts: dict[str, Any]) -> str:
    """Hash all that a result depends on.

    Parameters
    ----------
    facts : dict
        Anything JSON can hold; order does not count.

    Returns
    -------
    str
        A name for the result, as hex.
    """
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def code(*modules: ModuleType) -> str:
    """Hash the source of some modules, and of all modules of a package.

    A result that depends on code is not kept beyond it: what an error once computed would come back
    after the error is mended.
    """
    digest = hashlib.sha256()
    for module in modules:
        file = Path(str(module.__file__))
        for part in sorted(file.parent.glob("*.py")) if file.stem == "__init__" else [file]:
            digest.update(part.read_bytes())
    return digest.hexdigest()


def read(kind: str, name: str) -> dict[str, np.ndarray] | None:
    """Look a result up.

    Parameters
    ----------
    kind : str
        What it is a result of; a folder in the cache.
    name : str
        From `key`.

    Returns
    -------
    dict of str to ndarray, or None
        As it was written; None where there is none, or, after a line that says so, where the file
        is damaged.
    """
    file = _file(kind, name)
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        print(f"{file}: kept, but not readable ({error.strerror}); computed again", file=sys.stderr)
        return None
    digest, payload = content[:N_HASH], content[N_HASH:]
    if hashlib.sha256(payload).hexdigest().encode() != digest:
        print(f"{file}: kept, but damaged; computed again", file=sys.stderr)
        return None
    return load(payload)


def write(kind: str, name: str, arrays: dict[str, np.ndarray]) -> None:
    """Keep a result; where the cache cannot be written, say so in a line and go on without."""
    file, payload = _file(kind, name), save(arrays)
    try:
        with atomic(file) as partial, partial.open("wb") as stream:
            stream.write(hashlib.sha256(payload).hexdigest().encode() + payload)
            stream.flush()
            os.fsync(stream.fileno())
    except UserError as error:
        print(f"not kept: {error}", file=sys.stderr)


def _file(kind: str, name: str) -> Path:
    """Where a result is kept; a relative XDG_CACHE_HOME does not count, as its standard says."""
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".cache") / FOLDER / kind / name
