"""What was computed, kept between runs in one file outside the repository.

DVC deletes a stage's outputs before it runs the stage. What took long is kept here, under a hash of
all that it depends on: a run that was stopped goes on where it was, and an edit costs what it
changes. Deleting the file changes nothing but time. Any number of processes may use it at once;
each value is verified when it is read.
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
SHARE = 5  # a full store loses one value in so many, the oldest first
AT_ONCE = 500  # keys in a query
PATIENCE = 60.0  # seconds to wait for another process that writes
N_KEY, N_CHECK = 20, 8  # bytes of a key, and of the hash that ends a value
# File systems of other machines, on which SQLite's locks cannot be relied on, as /proc/mounts and
# mount(8) of macOS call them.
NETWORK = (
    *("afpfs", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.sshfs"),
    *("glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs", "webdav"),
)
# What SQLite says of a file that is whole, and cannot be used.
REFUSED = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR),
    *(sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY),
}
TABLE = (
    "CREATE TABLE IF NOT EXISTS kept "
    "(number INTEGER PRIMARY KEY, key BLOB UNIQUE, value BLOB, used INTEGER)"
)

Result = TypeVar("Result")
_said: set[str] = set()


def key(facts: Mapping[str, Any]) -> bytes:
    """Hash all that a result depends on: anything JSON can hold, in any order."""
    return digest(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode())


def digest(*parts: bytes) -> bytes:
    """Hash some parts, and where each of them ends."""
    hashed = hashlib.blake2b(digest_size=N_KEY)
    for part in parts:
        hashed.update(len(part).to_bytes(8, "big"))
        hashed.update(part)
    return hashed.digest()


def code(*folders: Path) -> str:
    """Hash the Python files of some folders.

    A result that depends on code is not kept beyond it: what an error once computed would come back
    after the error is mended.
    """
    files = [(file, folder) for folder in folders for file in sorted(folder.rglob("*.py"))]
    parts = (
        part
        for file, folder in files
        for part in (str(file.relative_to(folder)).encode(), file.read_bytes())
    )
    return digest(*parts).hex()


def read(keys: Iterable[bytes]) -> dict[bytes, bytes]:
    """Look values up.

    Parameters
    ----------
    keys : iterable of bytes
        From `digest` or `key`.

    Returns
    -------
    dict of bytes to bytes
        By key, as they were written; without those that are not there, or, after a line that says
        so, are damaged.
    """
    wanted = list(dict.fromkeys(keys))

    def select(database: sqlite3.Connection) -> list[tuple[bytes, bytes]]:
        rows: list[tuple[bytes, bytes]] = []
        for start in range(0, len(wanted), AT_ONCE):
            some = wanted[start : start + AT_ONCE]
            among = f"key IN ({','.join('?' * len(some))})"
            rows += database.execute(f"SELECT key, value FROM kept WHERE {among}", some)
            database.execute(
                f"UPDATE kept SET used = ? WHERE used != ? AND {among}", (_today(), _today(), *some)
            )
        return rows

    rows = _on_store(select, [])
    values = {name: value[:-N_CHECK] for name, value in rows if _is_whole(name, value)}
    if len(values) < len(rows):
        n = len(rows) - len(values)
        _say(f"{file()}: {n} of {len(rows)} values damaged; computed again")
    return values


def write(values: Mapping[bytes, bytes]) -> None:
    """Keep values, all of them or none; where that cannot be, say so in a line and go on.

    Parameters
    ----------
    values : mapping of bytes to bytes
        By key. They replace what is there.
    """
    rows = [(name, _sealed(name, value), _today()) for name, value in values.items()]

    def insert(database: sqlite3.Connection) -> None:
        database.execute("BEGIN IMMEDIATE")
        database.executemany(
            "INSERT OR REPLACE INTO kept (key, value, used) VALUES (?, ?, ?)", rows
        )
        if _size(database) > LIMIT:
            # Days to come are of a clock that was wrong, and none of them may stay for ever.
            oldest = "SELECT number FROM kept ORDER BY used <= ?, used, number LIMIT ?"
            (n,) = database.execute("SELECT count(*) FROM kept").fetchone()
            gone = (_today(), n // SHARE + 1)
            database.execute(f"DELETE FROM kept WHERE number IN ({oldest})", gone)
        database.execute("COMMIT")

    _on_store(insert, None)


def clear() -> None:
    """Delete the store."""
    for part in file().parent.glob(f"{FILE}*"):  # SQLite has its journal beside it
        part.unlink(missing_ok=True)


def file() -> Path:
    """Where the store is: in $XDG_CACHE_HOME or ~/.cache, unless these are on a network disk.

    A relative XDG_CACHE_HOME does not count, as its standard says.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    folder = (home if home.is_absolute() else Path.home() / ".cache") / FOLDER
    if _is_on_network(folder):
        folder = Path(tempfile.gettempdir()) / f"{FOLDER}-{os.getuid()}"
        _say(f"the cache is on a network disk; what is computed is kept in {folder}")
    return folder / FILE


def _on_store(work: Callable[[sqlite3.Connection], Result], otherwise: Result) -> Result:
    """Do something with the store; where it cannot be used, say so and give the other result."""
    try:
        place = file()
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if place.parent.stat().st_uid != os.getuid():  # made by someone else, in a shared folder
            raise PermissionError(f"{place.parent} belongs to another user")
        with closing(sqlite3.connect(place, timeout=PATIENCE, isolation_level=None)) as database:
            database.text_factory = bytes
            database.execute(TABLE)
            return work(database)
    except (OSError, RuntimeError) as error:  # no home, or a loop of links
        _say(f"nothing is kept: {error}")
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in REFUSED:
            _say(f"{file()}: nothing is kept: {error}")
        else:
            _start_anew(error)
    return otherwise


def _start_anew(error: Exception) -> None:
    """Delete a store that is damaged."""
    try:
        clear()
        _say(f"{file()}: damaged ({error}) and deleted; all is computed again")
    except OSError as refused:
        _say(f"{file()}: nothing is kept: damaged ({error}) and not deleted: {refused}")


def _is_on_network(folder: Path) -> bool:
    """Whether another machine holds a folder."""
    mounts = {disk.mountpoint: disk.fstype for disk in psutil.disk_partitions(all=True)}
    place = folder.resolve()
    parts = (str(part) for part in (place, *place.parents))
    return next((mounts[part] for part in parts if part in mounts), "").lower() in NETWORK


def _sealed(name: bytes, value: bytes) -> bytes:
    """Add to a value what tells whether it is whole, and of this key."""
    return value + hashlib.blake2b(name + value, digest_size=N_CHECK).digest()


def _is_whole(name: bytes, value: object) -> bool:
    """Whether a value is as it was written."""
    return isinstance(value, bytes) and value == _sealed(name, value[:-N_CHECK])


def _size(database: sqlite3.Connection) -> int:
    """Bytes that are in use; pages that were freed are used again."""
    pages, free, size = (
        database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _today() -> int:
    """Days since 1970."""
    return int(time.time()) // 86400


def _say(line: str) -> None:
    """Print a line on standard error, once in a process."""
    if line not in _said:
        print(line, file=sys.stderr)
    _said.add(line)
