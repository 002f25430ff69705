"""Finished work that is kept: found again whole, or not at all."""

import sys
from types import ModuleType

import numpy as np
import pytest

from stages.lib.io import kept

ARRAYS = {"readout": np.arange(6, dtype=np.float32).reshape(3, 2), "top": np.arange(3, dtype="u4")}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "localizing-lying" / "cells"


def test_what_is_kept_is_found_as_it_was(cache):
    assert kept.read("cells", "one") is None
    kept.write("cells", "one", ARRAYS)
    found = kept.read("cells", "one")
    assert found is not None
    assert {name: array.dtype for name, array in found.items()} == {"readout": "f4", "top": "u4"}
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
    assert kept.read("cells", "two") is None
    assert kept.read("others", "one") is None
    assert [file.name for file in cache.iterdir()] == ["one"]  # and nothing partial


@pytest.mark.parametrize("damage", [b"", b"\0", b"x" * 200])
def test_a_damaged_file_counts_as_none_and_is_said_so_in_a_line(damage, cache, capsys):
    kept.write("cells", "one", ARRAYS)
    file = cache / "one"
    whole = file.read_bytes()
    for content in (damage, whole[:-1], whole[:-1] + damage[:1] + b"?", damage + whole):
        if content == whole:
            continue
        file.write_bytes(content)
        assert kept.read("cells", "one") is None
        assert capsys.readouterr().err == f"{file}: kept, but damaged; computed again\n"
    kept.write("cells", "one", ARRAYS)
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_or_read_stops_nothing(cache, capsys):
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    kept.write("cells", "one", ARRAYS)
    assert kept.read("cells", "one") is None
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "not kept: " in said[0]
    assert "computed again" in said[1]


def test_the_cache_is_in_the_users_folder_where_none_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = tmp_path / ".cache" / "localizing-lying" / "cells" / "one"
    for value in (None, "", "relative/folder"):
        monkeypatch.delenv("XDG_CACHE_HOME") if value is None else monkeypatch.setenv(
            "XDG_CACHE_HOME", value
        )
        kept.write("cells", "one", ARRAYS)
        assert expected.is_file()
        expected.unlink()


def test_a_key_depends_on_every_fact_and_not_on_their_order():
    facts = {"model": "a", "token_ids": [[1, 2], [3]], "device": "cpu"}
    assert kept.key(facts) == kept.key(dict(reversed(facts.items())))
    others = [facts | {"model": "b"}, facts | {"device": "cuda"}]
    others += [facts | {"token_ids": ids} for ids in ([[1, 2, 3]], [[1], [2, 3]], [[3], [1, 2]])]
    assert len({kept.key(some) for some in (facts, *others)}) == 6


def test_code_depends_on_each_module_of_a_package(tmp_path, monkeypatch):
    package = tmp_path / "package"
    package.mkdir()
    for name in ("__init__", "a", "b"):
        (package / f"{name}.py").write_text(f"# {name}")
    module = ModuleType("package")
    module.__file__ = str(package / "__init__.py")
    one = ModuleType("package.a")
    one.__file__ = str(package / "a.py")
    before = kept.code(module), kept.code(one)
    assert before == (kept.code(module), kept.code(one))
    (package / "b.py").write_text("# changed")
    assert kept.code(module) != before[0]
    assert kept.code(one) == before[1]
    assert len({kept.code(kept), kept.code(sys.modules["stages.lib"]), *before}) == 4
