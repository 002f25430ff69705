"""A file or folder appears whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from safetensors.numpy import save_file

from stages.lib.io.atomic import atomic
from stages.lib.io.cli import UserError

ROOT = Path(__file__).resolve().parents[3]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_and_a_folder_replace_what_was_there(tmp_path):
    for text in ("old", "new"):
        with atomic(tmp_path / "deep" / "file") as partial:
            partial.write_text(text)
        with atomic(tmp_path / "folder") as partial:
            partial.mkdir()
            (partial / text).write_text(text)
    assert (tmp_path / "deep" / "file").read_text() == "new"
    assert names(tmp_path / "folder") == ["new"]
    assert names(tmp_path) == ["deep", "folder"]


def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(RuntimeError, match="stop"):
        with atomic(tmp_path / "file") as partial:
            partial.write_text("half")
            raise RuntimeError("stop")
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_what_a_killed_run_left_is_removed(tmp_path):
    (tmp_path / "folder.partial").mkdir()
    (tmp_path / "folder.partial" / "rubbish").write_text("")
    with atomic(tmp_path / "folder") as partial:
        partial.mkdir()
    assert names(tmp_path / "folder") == []


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("file/out", "a file is where its folder should be"),
        ("file/deep/out", "a file is where its folder should be"),
        ("n" * 250, "File name too long"),
    ],
)
def test_a_place_that_cannot_be_written_is_named(tmp_path, place, message):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as error:
        with atomic(tmp_path / place) as partial:
            partial.write_text("new")
    assert str(error.value) == f"{tmp_path / place}: cannot be written: {message}"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text("x" * 5000),
        lambda path: pl.DataFrame({"a": range(5000)}).write_parquet(path),
        lambda path: save_file({"a": pl.Series(range(5000)).to_numpy()}, str(path)),
        lambda path: (path.mkdir(), (path / "split").write_text("x" * 5000)),
    ],
    ids=["text", "polars", "safetensors", "folder"],
)
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path, write):
    """A limit on the size of files stands for it: the system refuses in the same way."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    (tmp_path / "out").write_text("old")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(UserError, match=r"out: cannot be written: File too large$"):
            with atomic(tmp_path / "out") as partial:
                write(partial)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out").read_text() == "old"


def test_what_is_no_refusal_to_write_there_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError):
        with atomic(tmp_path / "out"):
            (tmp_path / "nowhere").read_text()
    (tmp_path / "in").mkdir()
    with pytest.raises(IsADirectoryError):  # of another file: reading went wrong, not writing
        with atomic(tmp_path / "deep" / "out"):
            (tmp_path / "in").read_text()


STAGE = """
import os, signal, sys, time
from pathlib import Path
import stages
if "import" in sys.argv[0]:
    os.kill(os.getpid(), signal.SIGINT); time.sleep(5)
from stages.lib.io import cli
from stages.lib.io.atomic import atomic
def main() -> None:
    if "read" in sys.argv[0]:
        open("folder", "w")
    if "fault" in sys.argv[0]:
        raise FileNotFoundError(2, "No such file", "code")
    with atomic(Path("out")) as partial:
        partial.write_text("half")
        os.kill(os.getpid(), signal.SIGINT); time.sleep(5)
cli.run(main)
"""


def run(folder, how):
    code = STAGE.replace("sys.argv[0]", repr(how))
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("how", ["import", "main"])
def test_ctrl_c_is_one_line_and_leaves_nothing_half_written(tmp_path, how):
    result = run(tmp_path, how)
    assert (result.returncode, result.stderr) == (130, "interrupted\n")
    assert names(tmp_path) == []


def test_a_file_that_the_system_refuses_is_one_line_and_a_fault_of_code_is_not(tmp_path):
    (tmp_path / "folder").mkdir()
    result = run(tmp_path, "read")
    assert (result.returncode, result.stderr) == (1, "error: folder: Is a directory\n")
    assert "Traceback" in run(tmp_path, "fault").stderr
