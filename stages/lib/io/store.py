"""Keeps computed results between runs, in one SQLite file outside the repository.

DVC deletes a stage's outputs before it runs the stage. Expensive results are kept here under a hash
of all that they depend on: an interrupted run continues where it stopped, and after an edit only
the affected results are computed again. Deleting the file costs nothing but time. Any number of
processes may use it at once; each value is verified when it is read.
"""

import hashlib
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import psutil

FOLDER, FILE = "localizing-lying", "store.sqlite"
LIMIT = 2**30  # bytes; about ten million runs
EVICT_ONE_IN = 5  # a full store drops one value in five, the oldest first
KEYS_PER_QUERY = 500
PATIENCE = 60.0  # seconds to wait while another process writes
N_KEY, N_CHECK = 20, 8  # bytes of a key, and of the hash at the end of a value
# Network file systems, on which SQLite's locks are unreliable, as /proc/mounts and mount(8) of
# macOS name them.
NETWORK = (
    *("afpfs", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.sshfs"),
    *("glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs", "webdav"),
)
# SQLite's errors for a file that is intact but cannot be used.
REFUSED = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR),
    *(sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY),
}
TABLE = (
    "CREATE TABLE IF NOT EXISTS kept "
    "(number INTEGER PRIMARY KEY, key BLOB UNIQUE, value BLOB, used INTEGER)"
)

Result = TypeVar("Result")
_printed_lines: set[str] = set()


def key(facts: Mapping[str, Any]) -> bytes:
    """Hash all facts that a result depends on: anything JSON can hold, with keys in any order."""
    return digest(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode())


def digest(*parts: bytes) -> bytes:
    """Hash several byte strings together with their lengths."""
    hasher = hashlib.blake2b(digest_size=N_KEY)
    for part in parts:
        hasher.update(len(part).to_bytes(8, "big"))
        hasher.update(part)
    return hasher.digest()


def code(*folders: Path) -> str:
    """Hash the Python files of some folders.

    A key that includes this hash changes with the code: otherwise a result computed by faulty code
    would be read again after the fault is corrected.
    """
    files = [(file, folder) for folder in folders for file in sorted(folder.rglob("*.py"))]
    parts = (
        part
        for file, folder in files
        for part in (str(file.relative_to(folder)).encode(), file.read_bytes())
    )
    return digest(*parts).hex()


def read(keys: Iterable[bytes]) -> dict[bytes, bytes]:
    """Look up stored values.

    Parameters
    ----------
    keys : iterable of bytes
        From `digest` or `key`.

    Returns
    -------
    dict of bytes to bytes
        Values by key, as they were written. Missing keys are left out, and so are damaged values,
        whose number is printed.
    """
    unique_keys = list(dict.fromkeys(keys))

    def select(database: sqlite3.Connection) -> list[tuple[bytes, bytes]]:
        rows: list[tuple[bytes, bytes]] = []
        for start in range(0, len(unique_keys), KEYS_PER_QUERY):
            batch = unique_keys[start : start + KEYS_PER_QUERY]
            in_batch = f"key IN ({','.join('?' * len(batch))})"
            rows += database.execute(f"SELECT key, value FROM kept WHERE {in_batch}", batch)
            database.execute(
                f"UPDATE kept SET used = ? WHERE used != ? AND {in_batch}",
                (_today(), _today(), *batch),
            )
        return rows

    rows = _on_store(select, [])
    values = {name: value[:-N_CHECK] for name, value in rows if _is_whole(name, value)}
    if len(values) < len(rows):
        n = len(rows) - len(values)
        _say(f"{file()}: {n} of {len(rows)} values damaged; computed again")
    return values


def write(values: Mapping[bytes, bytes]) -> None:
    """Store values, all of them or none; if that fails, print a line and go on.

    Parameters
    ----------
    values : mapping of bytes to bytes
        Values by key; they replace stored ones.
    """
    rows = [(name, _sealed(name, value), _today()) for name, value in values.items()]

    def insert(database: sqlite3.Connection) -> None:
        database.execute("BEGIN IMMEDIATE")
        database.executemany(
            "INSERT OR REPLACE INTO kept (key, value, used) VALUES (?, ?, ?)", rows
        )
        if _size(database) > LIMIT:
            # A date in the future comes from a wrong clock: such values go first, or they would
            # stay for ever.
            oldest_rows = "SELECT number FROM kept ORDER BY used <= ?, used, number LIMIT ?"
            (n,) = database.execute("SELECT count(*) FROM kept").fetchone()
            arguments = (_today(), n // EVICT_ONE_IN + 1)
            database.execute(f"DELETE FROM kept WHERE number IN ({oldest_rows})", arguments)
        database.execute("COMMIT")

    _on_store(insert, None)


def clear() -> None:
    """Delete the store."""
    for part in file().parent.glob(f"{FILE}*"):  # SQLite keeps its journal beside the file
        part.unlink(missing_ok=True)


def file() -> Path:
    """Return the store's path: in $XDG_CACHE_HOME or ~/.cache.

    If that folder is on a network file system, the store is in the temporary folder. A relative
    XDG_CACHE_HOME is ignored, as its standard demands.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    folder = (home if home.is_absolute() else Path.home() / ".cache") / FOLDER
    if _is_on_network(folder):
        folder = Path(tempfile.gettempdir()) / f"{FOLDER}-{os.getuid()}"
        _say(f"the cache is on a network disk; what is computed is kept in {folder}")
    return folder / FILE


def _on_store(work: Callable[[sqlite3.Connection], Result], fallback: Result) -> Result:
    """Run `work` on the store; if the store cannot be used, print why and return `fallback`."""
    try:
        path = file()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.parent.stat().st_uid != os.getuid():  # made by another user, in a shared folder
            raise PermissionError(f"{path.parent} belongs to another user")
        with closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as database:
            database.text_factory = bytes
            database.execute(TABLE)
            return work(database)
    except (OSError, RuntimeError) as error:  # no home folder, or a loop of links
        _say(f"nothing is kept: {error}")
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in REFUSED:
            _say(f"{file()}: nothing is kept: {error}")
        else:
            _start_anew(error)
    return fallback


def _start_anew(error: Exception) -> None:
    """Delete a damaged store."""
    try:
        clear()
        _say(f"{file()}: damaged ({error}) and deleted; all is computed again")
    except OSError as deletion_error:
        _say(f"{file()}: nothing is kept: damaged ({error}) and not deleted: {deletion_error}")


def _is_on_network(folder: Path) -> bool:
    """Whether a folder is on a network file system."""
    mounts = {disk.mountpoint: disk.fstype for disk in psutil.disk_partitions(all=True)}
    path = folder.resolve()
    parts = (str(part) for part in (path, *path.parents))
    return next((mounts[part] for part in parts if part in mounts), "").lower() in NETWORK


def _sealed(name: bytes, value: bytes) -> bytes:
    """Append a hash to a value, which tells whether the value is intact and belongs to the key."""
    return value + hashlib.blake2b(name + value, digest_size=N_CHECK).digest()


def _is_whole(name: bytes, value: object) -> bool:
    """Whether a stored value is as it was written under its key."""
    return isinstance(value, bytes) and value == _sealed(name, value[:-N_CHECK])


def _size(database: sqlite3.Connection) -> int:
    """Return the bytes in use; SQLite uses freed pages again."""
    pages, free, size = (
        database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _today() -> int:
    """Return the number of days since 1970."""
    return int(time.time()) // 86400


def _say(line: str) -> None:
    """Print a line on standard error, once per process."""
    if line not in _printed_lines:
        print(line, file=sys.stderr)
    _printed_lines.add(line)
