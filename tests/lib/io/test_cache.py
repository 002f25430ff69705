"""Finished work that is kept: found again whole, or not at all."""

import sys
from types import ModuleType

import numpy as np
import pytest

from stages.lib.io import cache

ARRAYS = {"readout": np.arange(6, dtype=np.float32).reshape(3, 2), "top": np.arange(3, dtype="u4")}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "localizing-lying" / "wordings"


def test_what_is_kept_is_found_as_it_was(folder):
    assert cache.read("wordings", "one") is None
    cache.write("wordings", "one", ARRAYS)
    found = cache.read("wordings", "one")
    assert found is not None
    assert {name: array.dtype for name, array in found.items()} == {"readout": "f4", "top": "u4"}
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
    assert cache.read("wordings", "two") is None
    assert cache.read("others", "one") is None
    assert [file.name for file in folder.iterdir()] == ["one"]  # and nothing partial


@pytest.mark.parametrize("damage", [b"", b"\0", b"x" * 200])
def test_a_damaged_file_counts_as_none_and_is_said_so_in_a_line(damage, folder, capsys):
    cache.write("wordings", "one", ARRAYS)
    file = folder / "one"
    whole = file.read_bytes()
    for content in (damage, whole[:-1], whole[:-1] + damage[:1] + b"?", damage + whole):
        if content == whole:
            continue
        file.write_bytes(content)
        assert cache.read("wordings", "one") is None
        assert capsys.readouterr().err == f"{file}: kept, but damaged; computed again\n"
    cache.write("wordings", "one", ARRAYS)
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_or_read_stops_nothing(folder, capsys):
    folder.parent.mkdir()
    folder.write_text("a file where the folder should be")
    cache.write("wordings", "one", ARRAYS)
    assert cache.read("wordings", "one") is None
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "not kept: " in said[0]
    assert "computed again" in said[1]


def test_the_cache_is_in_the_users_folder_where_none_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = tmp_path / ".cache" / "localizing-lying" / "wordings" / "one"
    for value in (None, "", "relative/folder"):
        monkeypatch.delenv("XDG_CACHE_HOME") if value is None else monkeypatch.setenv(
            "XDG_CACHE_HOME", value
        )
        cache.write("wordings", "one", ARRAYS)
        assert expected.is_file()
        expected.unlink()


def test_a_key_depends_on_every_fact_and_not_on_their_order():
    facts = {"model": "a", "token_ids": [[1, 2], [3]], "device": "cpu"}
    assert cache.key(facts) == cache.key(dict(reversed(facts.items())))
    others = [facts | {"model": "b"}, facts | {"device": "cuda"}]
    others += [facts | {"token_ids": ids} for ids in ([[1, 2, 3]], [[1], [2, 3]], [[3], [1, 2]])]
    assert len({cache.key(some) for some in (facts, *others)}) == 6


def test_code_depends_on_each_module_of_a_package(tmp_path, monkeypatch):
    package = tmp_path / "package"
    package.mkdir()
    for name in ("__init__", "a", "b"):
        (package / f"{name}.py").write_text(f"# {name}")
    module = ModuleType("package")
    module.__file__ = str(package / "__init__.py")
    one = ModuleType("package.a")
    one.__file__ = str(package / "a.py")
    before = cache.code(module), cache.code(one)
    assert before == (cache.code(module), cache.code(one))
    (package / "b.py").write_text("# changed")
    assert cache.code(module) != before[0]
    assert cache.code(one) == before[1]
    assert len({cache.code(cache), cache.code(sys.modules["stages.lib"]), *before}) == 4
