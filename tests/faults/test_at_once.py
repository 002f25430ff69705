"""Two `dvc repro` at once, and Ctrl-C: one line, and the bytes of an undisturbed run."""

import os
import signal
import time

import pytest

from tests.faults.small import Small

PATIENCE = 600  # seconds, on a machine that does other things too


@pytest.fixture
def held(tmp_path):
    """A project whose stage has begun and does not end while a file is there; and its `dvc repro`."""
    project = Small.make(tmp_path)
    (project.folder / "hold").touch()
    process = project.start("dvc", "repro")
    end = time.monotonic() + PATIENCE
    while not (project.folder / "begun").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    yield project, process
    (project.folder / "hold").unlink(missing_ok=True)
    process.kill()
    process.communicate()


def test_the_second_of_two_says_who_is_at_work_and_the_first_one_ends_well(held):
    project, process = held
    second = project.run("dvc", "repro")
    assert second.returncode != 0
    assert "is busy, it is being blocked by:" in second.stderr
    assert f"(PID {process.pid})" in second.stderr
    assert "Traceback" not in second.stderr
    (project.folder / "hold").unlink()
    said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    content = project.out.read_bytes()
    project.out.unlink()
    (project.folder / "dvc.lock").unlink()
    assert project.run("dvc", "repro").returncode == 0
    assert project.out.read_bytes() == content


def test_after_ctrl_c_nothing_is_half_written_and_the_next_run_is_a_whole_one(held):
    project, process = held
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert "Traceback" not in said
    assert list((project.folder / "out").iterdir()) == []
    assert not (project.folder / "dvc.lock").exists()
    (project.folder / "hold").unlink()
    result = project.run("dvc", "repro")
    assert result.returncode == 0, result.stderr
    assert project.out.is_file()
