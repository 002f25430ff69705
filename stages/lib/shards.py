"""Reads and writes activations: a folder of safetensors shards with one index."""

import hashlib
import json
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from stages.lib.io import tables
from stages.lib.io.atomic import atomic
from stages.lib.io.cli import UserError
from stages.lib.io.narrow import is_dict

INDEX, PROGRESS, SEAL = "index.json", "progress.json", "sha256"
SHARD_BYTES = 256 * 2**20
SHARD_ROWS = 64  # at most; a killed run has to compute at most one shard again
KEYS = {"statement_ids": list, "positions": list, "n_layers": int, "n_heads": int, "shards": list}


def rows_per_shard(row_bytes: int) -> int:
    """Return how many rows of `row_bytes` bytes go into a shard of at most 256 MiB."""
    return min(SHARD_ROWS, max(1, SHARD_BYTES // row_bytes))


@dataclass
class Writer:
    """Appends shards to a folder; made by `writer`."""

    folder: Path
    key: str
    shards: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @property
    def n_rows(self) -> int:
        """Number of rows written so far."""
        return sum(shard["n_rows"] for shard in self.shards)

    def append(self, tensors: dict[str, np.ndarray]) -> None:
        """Write the next shard.

        Parameters
        ----------
        tensors : dict of str to ndarray of shape (n_rows, ...), float32
            One array per site; the rows follow those of the previous shard.
        """
        data = save({name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)})
        name = _name(len(self.shards))
        (self.folder / name).write_bytes(data)
        n_rows = len(next(iter(tensors.values())))
        digest = hashlib.sha256(data).hexdigest()
        self.shards.append({"file": name, "n_rows": n_rows, "sha256": digest})
        tables.write_json(self.folder / PROGRESS, {"key": self.key, "shards": self.shards})


@contextmanager
def writer(folder: Path, provenance: dict[str, Any], key: str = "") -> Generator[Writer]:
    """Write shards and their index; the folder appears complete or not at all.

    Parameters
    ----------
    folder : Path
        Folder to make; an existing one is replaced.
    provenance : dict
        Description of the rows: at least `statement_ids`, `positions`, `n_layers`, `n_heads`.
        It is stored in the index, so that the bytes of shards depend on the activations alone.
    key : str
        Hash of all that the activations depend on. Shards of a killed run with the same key are
        reused; with an empty key, none are.
    """
    with atomic(folder, resumed=bool(key)) as partial:
        result = Writer(partial, key, _resumable_shards(partial, key))
        if not result.shards:
            shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(exist_ok=True)
        try:
            yield result
        except BaseException:
            if not result.shards:
                shutil.rmtree(partial, ignore_errors=True)
            raise
        (partial / PROGRESS).unlink(missing_ok=True)
        index = provenance | {"shards": result.shards}
        tables.write_json(partial / INDEX, index | {SEAL: _seal(index)})


class Reader:
    """Reads activations one layer at a time, so that memory does not grow with the layers.

    Every shard is hashed once, when a reader is made (0.3 to 0.7 s per shard of 256 MiB), since
    nothing else would reveal a file that was edited in place.

    Attributes
    ----------
    statement_ids : list of str
        One per row, ascending.
    n_layers, n_heads : int
        Sizes of the model.

    Raises
    ------
    UserError
        If the index is cut or lacks keys, or a shard is missing or differs from the one in the
        index.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index: dict[str, Any] = tables.read_json(folder / INDEX)
        _check(folder, self.index)
        self.statement_ids: list[str] = self.index["statement_ids"]
        self.n_layers: int = self.index["n_layers"]
        self.n_heads: int = self.index["n_heads"]

    def layer(self, site: str, layer: int, position: int = -1) -> np.ndarray:
        """Read the activations of all rows at one layer and position.

        Parameters
        ----------
        site : str
            ``z`` or ``resid_post``.
        layer : int
            Counts from 0; for `resid_post` 0 is the embedding and i the output of layer i - 1.
        position : int
            Position from the end of the prompt (-1 is the last token), one of those in the index.

        Returns
        -------
        ndarray of shape (n_rows, n_heads, d_head) or (n_rows, d_model), float32
            The first shape is that of `z`, the second that of `resid_post`.

        Raises
        ------
        UserError
            If the position was not stored.
        """
        if position not in self.index["positions"]:
            raise UserError(
                f"{self.folder / INDEX}: positions are {self.index['positions']}, expected "
                f"{position} among them (params.yaml: activations.positions)"
            )
        column = self.index["positions"].index(position)
        parts: list[np.ndarray] = []
        for shard in self.index["shards"]:
            with cast(Any, safe_open(self.folder / shard["file"], "numpy")) as tensors:
                parts.append(tensors.get_slice(site)[:, column, layer])
        return np.concatenate(parts)


def _check(folder: Path, index: Any) -> None:
    """Raise `UserError` if an index or its shards are not as `writer` wrote them."""
    _check_keys(folder / INDEX, index)
    for number, shard in enumerate(index["shards"]):
        kinds: dict[str, Any] = {k: type(v) for k, v in shard.items()} if is_dict(shard) else {}
        if kinds != {"file": str, "n_rows": int, "sha256": str}:
            raise tables.broken(folder / INDEX, f"shards[{number}]: expected file, n_rows, sha256")
        if shard["file"] != _name(number):
            raise tables.broken(folder / INDEX, f"shards[{number}].file: expected {_name(number)}")
    n_rows = sum(shard["n_rows"] for shard in index["shards"])
    if n_rows != len(index["statement_ids"]):
        expected = len(index["statement_ids"])
        raise tables.broken(folder / INDEX, f"{n_rows} rows of {expected} statement_ids")
    if index.get(SEAL) != _seal(index):
        raise tables.broken(folder / INDEX, f"{SEAL}: does not match the rest of the index")
    for shard in index["shards"]:
        _check_content(folder / shard["file"], shard["sha256"])


def _check_keys(file: Path, index: Any) -> None:
    """Raise `UserError` if an index lacks a key that a reader needs."""
    if not is_dict(index):
        raise tables.broken(file, f"found {type(index).__name__}, expected keys")
    for key, kind in KEYS.items():
        if type(index.get(key)) is not kind:
            type_name = type(index[key]).__name__ if key in index else "nothing"
            raise tables.broken(file, f"{key}: found {type_name}, expected {kind.__name__}")


def _seal(index: dict[str, Any]) -> str:
    """Hash an index without its own hash, so that a changed digit in it is noticed."""
    rest = tables.rounded({key: value for key, value in index.items() if key != SEAL})
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _check_content(file: Path, expected: str) -> None:
    """Raise `UserError` if a shard is missing or differs from the one in the index."""
    if not file.is_file():
        raise tables.broken(file, "no such file")
    if (digest := _sha256(file)) != expected:
        raise tables.broken(file, f"its sha256 is {digest[:12]}…, in {INDEX} {expected[:12]}…")


def _sha256(file: Path) -> str:
    """Hash a file, as hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _resumable_shards(folder: Path, key: str) -> list[dict[str, Any]]:
    """List the shards of a killed run with the same key, up to the first damaged one."""
    try:
        progress = json.loads((folder / PROGRESS).read_bytes())
        listed_shards = cast(
            list[dict[str, Any]], progress["shards"] if progress["key"] == key else []
        )
        for number, shard in enumerate(listed_shards):
            file = folder / _name(number)
            if not file.is_file() or _sha256(file) != shard["sha256"]:
                return listed_shards[:number]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return listed_shards if key else []


def _name(number: int) -> str:
    """Return the file name of a shard."""
    return f"{number:05d}.safetensors"
