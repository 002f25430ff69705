"""A process of several that dies, and Ctrl-C: its own error, the others stop, nothing is half-written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 900  # seconds; a rank that waits for one that died would wait for twice as long
SECONDS = 60  # after which no process may be left; it takes two, where nothing else runs
LAUNCHERS = {
    "torchrun": ("torch.distributed.run", "--nproc_per_node", "2"),
    "accelerate": ("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"),
}
STAGE = """
import os, signal, time
from pathlib import Path
from stages.lib.io import cli
from stages.lib.io.atomic import atomic
from stages.lib.io.cli import UserError
from stages.lib.forward import batches
def main() -> None:
    batches.gather([1])  # both are there
    Path("pid" + os.environ["RANK"]).write_text(str(os.getpid()))
    with atomic(Path("out" + os.environ["RANK"])) as partial:
        partial.write_text("half")
        if os.environ["RANK"] == "1":
            batches.gather([2]) if Path("well").exists() else (Path("then").touch(), HOW)
        elif Path("busy").exists():
            time.sleep(600)
        else:
            batches.gather([2])
        partial.write_text("whole")
cli.run(main)
"""
HOWS = {
    "a user's mistake": ("exec('raise UserError(\"params.yaml: patch: no such layer\")')", "error: params.yaml: patch: no such layer"),
    "an error": ("exec('raise ValueError(\"no such layer\")')", "ValueError: no such layer"),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", "Signal 9 (SIGKILL) received"),
}  # fmt: skip


def started(folder, how, launcher="torchrun"):
    """Start the stage in two processes, the second of which does something else than the first."""
    (folder / "stage.py").write_text(STAGE.replace("HOW", how))
    return subprocess.Popen(
        [sys.executable, "-m", *LAUNCHERS[launcher], "stage.py"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        text=True, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(files):
    """Wait until they are there; returns the time."""
    end = time.monotonic() + PATIENCE
    while not all(file.exists() for file in files):
        assert time.monotonic() < end
        time.sleep(0.02)
    return time.monotonic()


def require_nothing(folder):
    """No process is left, and nothing that looks like what a stage writes."""
    assert not any(psutil.pid_exists(int(file.read_text())) for file in folder.glob("pid*"))
    assert not (folder / "out0").exists()
    assert not (folder / "out1").exists()


@pytest.mark.parametrize("busy", [False, True], ids=["the other waits", "the other computes"])
@pytest.mark.parametrize("how", HOWS)
def test_one_of_two(how, busy, tmp_path):
    code, shown = HOWS[how]
    if busy:
        (tmp_path / "busy").touch()
    process = started(tmp_path, code)
    died = wait_for([tmp_path / "then"])
    _, said = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - died < SECONDS
    assert process.returncode != 0
    assert shown in said
    assert "gloo" not in said  # the other one ends in a line, and hides nobody's error
    require_nothing(tmp_path)


def test_the_next_run_is_a_whole_one(tmp_path):
    process = started(tmp_path, HOWS["killed"][0])
    process.communicate(timeout=PATIENCE)
    (tmp_path / "well").touch()
    process = started(tmp_path, HOWS["killed"][0])
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert [file.name for file in sorted(tmp_path.glob("out*"))] == ["out0", "out1"]
    assert (tmp_path / "out0").read_text() == "whole"


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_ctrl_c_is_one_line_of_the_first_process(launcher, tmp_path):
    """Lines of the launcher are its own."""
    process = started(tmp_path, "time.sleep(600)", launcher)
    wait_for([tmp_path / "pid0", tmp_path / "then"])
    pressed = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, said = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - pressed < SECONDS
    assert process.returncode != 0
    assert (out + said).count("interrupted\n") == 1
    assert "KeyboardInterrupt" not in said
    assert 'stage.py"' not in said  # no traceback through what a process ran
    assert "terminate called" not in said
    require_nothing(tmp_path)
    assert not list(tmp_path.glob("out*"))
