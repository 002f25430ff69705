"""A clock that jumps, by a hundred years or back to 1970: no value is lost or kept for it."""

import io
import time

import pytest
import tqdm.std

from stages.lib.forward import batches
from stages.lib.io import store
from stages.lib.model.pretrained import files

KEYS = [store.key({"run": i}) for i in range(200)]
JUMPS = {"forward": 40_000, "back": 3}  # the day, where it is 20,000 or so


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
def test_what_was_written_while_it_was_wrong_is_no_newer_than_what_is_used(jump, monkeypatch):
    day = 20_000
    monkeypatch.setattr(store, "_today", lambda: day)
    store.write({key: bytes(4000) for key in KEYS[:40]})
    day = jump
    store.write({key: bytes(4000) for key in KEYS[40:80]})
    day = 20_001
    used = [*KEYS[:10], *KEYS[40:50]]
    assert len(store.read(used)) == len(used)
    store.write({key: bytes(4000) for key in KEYS[80:90]})
    monkeypatch.setattr(store, "LIMIT", store.file().stat().st_size)
    for i in range(90, 95):
        store.write({KEYS[i]: bytes(4000)})
    result = set(store.read(KEYS[:95]))
    assert result >= {*used, *KEYS[90:95]}
    gone = {*KEYS[:95]} - result
    assert gone
    assert gone <= {*KEYS[50:80]}  # of the wrong days first: those that nothing has used since


def test_a_run_while_it_is_wrong_keeps_what_it_uses(monkeypatch):
    day = 20_000
    monkeypatch.setattr(store, "_today", lambda: day)
    store.write({key: bytes(4000) for key in KEYS[:80]})
    day = 0
    used = KEYS[:20]
    store.read(used)
    monkeypatch.setattr(store, "LIMIT", store.file().stat().st_size)
    store.write({KEYS[100]: bytes(4000)})
    result = set(store.read(KEYS))
    assert result >= {*used, KEYS[100]}
    assert len(result) < 81


def test_time_left_is_of_a_clock_that_nobody_sets(monkeypatch):
    now, wall = 100.0, 5000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(tqdm.std, "time", lambda: wall)
    bar = batches._Bar(total=10, file=io.StringIO(), disable=False)
    now, wall = 110.0, -1e9
    bar.update(5)
    assert bar.format_dict["elapsed"] == 10.0
    bar.close()


def test_a_file_of_tomorrow_is_read_again_each_time(monkeypatch, tmp_path):
    """Its hash is kept only where a later change would have another time."""
    file = tmp_path / "weights"
    file.write_bytes(b"old")
    monkeypatch.setattr(files, "SMALL", 0)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    first = files.sha256(file)
    assert not store.file().exists()
    file.write_bytes(b"new")
    assert files.sha256(file) != first
