"""What was computed is found again whole, or not at all; a store that fails costs time alone."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from stages.lib.io import store

ROOT = Path(__file__).resolve().parents[3]
KEYS = [store.key({"run": i}) for i in range(1200)]
VALUES = {key: f"value {i} ".encode() * 3 for i, key in enumerate(KEYS)}
FEW = {key: VALUES[key] for key in KEYS[:4]}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The store's folder, which is not there yet; no line was said."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "_printed_lines", set())
    return tmp_path / "cache" / "localizing-lying"


def sql(statement, *values):
    """Do something to the store behind its back."""
    with closing(sqlite3.connect(store.file(), isolation_level=None)) as database:
        return database.execute(statement, values).fetchall()


def processes(code, n, **variables):
    """Start Python processes that run some code, each with its number as `who`."""
    head = "import sys, time\nfrom stages.lib.io import store\nwho = int(sys.argv[1])\n"
    env = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    start = partial(subprocess.Popen, env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    return [start([sys.executable, "-c", head + code, str(who)]) for who in range(n)]


def lines(started):
    """What processes say on standard error until they end."""
    return [line for process in started for line in process.communicate()[1].splitlines()]


def test_what_is_written_is_read_as_it_was_and_nothing_else(folder):
    assert store.read(KEYS[:2]) == {}
    values = {KEYS[0]: b"", KEYS[1]: b"\0" * 100_000, **{key: VALUES[key] for key in KEYS[2:]}}
    store.write(values)
    assert store.read(KEYS) == values
    assert store.read([KEYS[5], store.key({"run": "none"}), KEYS[5]]) == {KEYS[5]: VALUES[KEYS[5]]}
    assert store.read([]) == {}
    store.write({KEYS[0]: b"new"})
    assert store.read(KEYS) == values | {KEYS[0]: b"new"}
    assert [file.name for file in folder.iterdir()] == ["store.sqlite"]


@pytest.mark.parametrize(
    "damage",
    [
        "value = CAST(x'00' || substr(value, 2) AS BLOB)",
        "value = CAST(substr(value, 1, length(value) - 1) AS BLOB)",
        "value = CAST(value || x'00' AS BLOB)",
        "value = x''",
        "value = NULL",
        "value = 3",
        "value = 'text'",
        "value = CAST(x'fffe' AS TEXT)",
        "value = (SELECT value FROM kept AS other WHERE other.key != kept.key)",
    ],
)
def test_a_damaged_value_counts_as_none_and_is_said_in_a_line(damage, capsys):
    store.write(FEW)
    sql(f"UPDATE kept SET {damage} WHERE key = ?", KEYS[1])
    whole = {key: value for key, value in FEW.items() if key != KEYS[1]}
    assert store.read(FEW) == whole
    assert store.read(FEW) == whole
    assert capsys.readouterr().err == f"{store.file()}: 1 of 4 values damaged; computed again\n"
    store.write({KEYS[1]: FEW[KEYS[1]]})
    assert store.read(FEW) == FEW


def no_database(whole):
    return b"no database " * 1000


def cut(whole):
    return whole[: len(whole) // 2]


def zeros_inside(whole):
    return whole[:4096] + bytes(8192) + whole[12288:]


@pytest.mark.parametrize("damage", [no_database, cut, zeros_inside])
@pytest.mark.parametrize("first", ["read", "write"])
def test_a_damaged_file_is_deleted_and_said_so_in_a_line_and_works_anew(damage, first, capsys):
    store.write(VALUES)
    store.file().write_bytes(damage(store.file().read_bytes()))
    assert (store.read(FEW) if first == "read" else store.write(FEW) or {}) == {}
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"{store.file()}: damaged (")
    assert said.endswith(") and deleted; all is computed again")
    assert not store.file().exists()
    store.write(FEW)
    assert store.read(KEYS) == FEW


def a_file_for_a_folder(monkeypatch):
    store.file().parent.parent.write_text("a file")


def a_folder_for_the_file(monkeypatch):
    store.file().mkdir(parents=True)


def a_file_that_is_not_written(monkeypatch):
    store.write(FEW)
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3,
        "connect",
        lambda place, **options: connect(f"file:{place}?mode=ro", uri=True, **options),
    )


def a_damaged_file_that_is_not_deleted(monkeypatch):
    store.write(FEW)
    store.file().write_bytes(no_database(b""))

    def refuse(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)


def a_folder_of_another_user(monkeypatch):
    store.write(FEW)
    me = os.getuid()
    monkeypatch.setattr(store, "os", SimpleNamespace(getuid=lambda: me + 1, environ=os.environ))


@pytest.mark.parametrize(
    ("refuse", "reason"),
    [
        (a_file_for_a_folder, "Not a directory"),
        (a_folder_for_the_file, "unable to open database file"),
        (a_file_that_is_not_written, "attempt to write a readonly database"),
        (a_damaged_file_that_is_not_deleted, "Permission denied"),
        (a_folder_of_another_user, "belongs to another user"),
    ],
)
def test_a_store_that_cannot_be_used_stops_nothing_and_is_said_in_a_line(
    refuse, reason, monkeypatch, capsys
):
    refuse(monkeypatch)
    for _ in range(3):
        store.write(FEW)
        assert store.read(FEW) == {}
    (said,) = capsys.readouterr().err.splitlines()
    assert str(store.file().parent) in said
    assert reason in said


def test_a_full_disk_loses_the_new_values_and_no_old_ones(capsys):
    """A limit on the size of files stands for it: the system refuses in the same way."""
    resource = pytest.importorskip("resource")
    store.write(FEW)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (store.file().stat().st_size, before[1]))
    try:
        store.write(VALUES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"{store.file()}: nothing is kept: ")
    assert store.read(KEYS) == FEW


@pytest.mark.parametrize("value", [None, "", "relative/folder"])
def test_the_store_is_in_the_users_folder_where_none_is_named(value, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    if value is None:
        monkeypatch.delenv("XDG_CACHE_HOME")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    store.write(FEW)
    files = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.sqlite")]
    assert files == [".cache/localizing-lying/store.sqlite"]


@pytest.mark.parametrize(
    ("kinds", "is_on_network"),
    [
        ({"": "ext4", "cache": "nfs4"}, True),
        ({"cache": "NFS"}, True),
        ({"": "nfs", "cache": "ext4"}, False),
        ({"": "ext4", "cach": "nfs"}, False),
        ({}, False),
    ],
)
def test_on_a_network_disk_the_temporary_folder_is_taken_and_that_is_said(
    kinds, is_on_network, folder, tmp_path, monkeypatch, capsys
):
    """The innermost mount decides."""
    disks = [
        SimpleNamespace(mountpoint=str(tmp_path / name), fstype=kind)
        for name, kind in {"/": "ext4", **kinds}.items()
    ]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: disks)
    monkeypatch.setattr(store.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    here = tmp_path / "temporary" / f"localizing-lying-{os.getuid()}"
    store.write(FEW)
    assert store.read(FEW) == FEW
    assert (folder.exists(), here.exists()) == (not is_on_network, is_on_network)
    said = f"the cache is on a network disk; what is computed is kept in {here}\n"
    assert capsys.readouterr().err == (said if is_on_network else "")


def test_a_link_to_a_network_disk_is_one(tmp_path, monkeypatch):
    (tmp_path / "far").mkdir()
    (tmp_path / "cache").symlink_to(tmp_path / "far")
    disk = SimpleNamespace(mountpoint=str(tmp_path / "far"), fstype="cifs")
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: [disk])
    monkeypatch.setattr(store.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    store.write(FEW)
    assert list((tmp_path / "far").iterdir()) == []
    assert store.read(FEW) == FEW


def test_nobody_else_may_look_into_the_folder(folder):
    store.write(FEW)
    assert folder.stat().st_mode & 0o077 == 0


def test_a_full_store_drops_the_oldest_and_what_was_used_lately_stays(monkeypatch):
    today = 1000
    monkeypatch.setattr(store, "_today", lambda: today)
    kept = {key: os.urandom(4000) for key in KEYS[:100]}
    for i, (key, value) in enumerate(kept.items()):
        today = 1000 + i // 10
        store.write({key: value})
    today, used = 1020, KEYS[:5]
    store.read(used)
    size = store.file().stat().st_size
    monkeypatch.setattr(store, "LIMIT", size)
    store.write({key: VALUES[key] * 100 for key in KEYS[100:120]})
    result = list(store.read(KEYS[:120]))
    gone = 120 // store.EVICT_ONE_IN + 1
    assert sorted(map(KEYS.index, result)) == [*range(5), *range(5 + gone, 120)]
    store.write(FEW)  # there is room again
    assert len(store.read(KEYS[:120])) == 120 - gone
    for i in range(200):
        store.write({KEYS[200 + i]: os.urandom(4000)})
    assert store.file().stat().st_size < 1.2 * size
    assert KEYS[399] in store.read(KEYS)


def test_a_store_below_its_limit_drops_nothing(monkeypatch):
    store.write(VALUES)
    monkeypatch.setattr(store, "LIMIT", store.file().stat().st_size)
    store.write(FEW)
    assert store.read(KEYS) == VALUES


def test_a_key_depends_on_every_fact_and_not_on_their_order():
    facts = {"model": "a", "token_ids": [[1, 2], [3]], "device": "cpu"}
    assert store.key(facts) == store.key(dict(reversed(facts.items())))
    others = [facts | {"model": "b"}, facts | {"device": "cuda"}, facts | {"more": None}]
    others += [facts | {"token_ids": ids} for ids in ([[1, 2, 3]], [[1], [2, 3]], [[3], [1, 2]])]
    assert len({store.key(some) for some in (facts, *others)}) == 7


def test_a_digest_tells_where_parts_end():
    parts = [(b"ab", b"c"), (b"a", b"bc"), (b"abc",), (b"", b"abc"), (b"abc", b""), (b"c", b"ab")]
    assert len({store.digest(*some) for some in parts}) == len(parts)


def test_code_depends_on_each_python_file_of_a_folder_and_its_name(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one / "deep", two):
        folder.mkdir(parents=True)
        for name in ("__init__", "a"):
            (folder / f"{name}.py").write_text(f"# {name}")
    before = store.code(one, two)
    (one / "notes.md").write_text("no code")
    assert store.code(one, two) == before
    seen = [before, store.code(one), store.code(two)]
    (one / "deep/a.py").write_text("# changed")
    seen.append(store.code(one, two))
    (two / "a.py").rename(two / "b.py")
    seen.append(store.code(one, two))
    (two / "b.py").unlink()
    seen.append(store.code(one, two))
    (two / "new.py").write_text("")
    seen.append(store.code(one, two))
    assert len(set(seen)) == len(seen)
    copy = tmp_path / "elsewhere"
    one.rename(copy)
    assert store.code(copy, two) == seen[-1]


def test_clear_removes_all(folder):
    store.clear()
    for name in ("", "-wal", "-shm"):
        folder.mkdir(exist_ok=True, parents=True)
        (folder / f"store.sqlite{name}").write_text("left")
    (folder / "another").write_text("not the store's")
    store.clear()
    assert [file.name for file in folder.iterdir()] == ["another"]
    store.write(FEW)
    store.clear()
    assert store.read(FEW) == {}


def test_processes_that_write_and_read_at_once_lose_nothing():
    code = """
keys = [[store.key({"who": who, "i": i}) for i in range(300)] for who in range(4)]
for i, key in enumerate(keys[who]):
    store.write({key: b"%d of %d" % (i, who)})
    found = store.read([key, keys[who - 1][i]])
    assert found.pop(key) == b"%d of %d" % (i, who)
    assert set(found.values()) <= {b"%d of %d" % (i, (who - 1) % 4)}
"""
    assert lines(processes(code, 4)) == []
    values = {
        store.key({"who": who, "i": i}): b"%d of %d" % (i, who)
        for who in range(4)
        for i in range(300)
    }
    assert store.read(values) == values


def test_processes_that_make_the_store_at_once_lose_nothing(tmp_path, monkeypatch):
    code = """
import os
for i in range(30):
    os.environ["XDG_CACHE_HOME"] = f"{os.environ['FOLDERS']}/{i}"
    time.sleep(max(0, float(os.environ["START"]) + i / 20 - time.time()))
    store.write({store.key({"who": who}): b"value"})
"""
    start = str(time.time() + 1.5)
    assert lines(processes(code, 4, FOLDERS=str(tmp_path), START=start)) == []
    for i in range(30):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / str(i)))
        assert len(store.read([store.key({"who": who}) for who in range(4)])) == 4


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.3])
def test_a_process_that_is_killed_while_it_writes_leaves_every_value_whole(
    seconds, tmp_path, capsys
):
    """What it said to have written is there, and each write is there as a whole."""
    code = f"""
log = open({str(tmp_path / "log")!r}, "w")
for i in range(10**6):
    store.write({{store.key({{"i": i, "part": part}}): b"%d" % i * 500 for part in range(5)}})
    print(i, file=log, flush=True)
"""
    (process,) = processes(code, 1)
    deadline = time.time() + 60
    while not (tmp_path / "log").exists() or not (tmp_path / "log").read_text():
        assert time.time() < deadline
        time.sleep(0.01)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    assert (process.wait(), process.communicate()[1]) == (-signal.SIGKILL, "")
    n = len((tmp_path / "log").read_text().split())
    assert n > 0

    def parts(i):
        return {store.key({"i": i, "part": part}): b"%d" % i * 500 for part in range(5)}

    for i in range(n):
        assert store.read(parts(i)) == parts(i)
    assert store.read(parts(n)) in ({}, parts(n))
    store.write(FEW)
    assert store.read(FEW) == FEW
    assert sql("PRAGMA integrity_check") == [("ok",)]
    assert capsys.readouterr().err == ""
