"""`make repro` runs `dvc repro`, and says how far it is; how long is left, by earlier runs' times."""

import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.pipeline.closure import ROOT

PIPELINE = """\
stages:
  first: {cmd: cp in.txt first.txt, deps: [in.txt], outs: [first.txt]}
  second: {cmd: sh second.sh, deps: [in.txt, second.sh], outs: [second.txt]}
  third: {cmd: sh third.sh, deps: [in.txt], frozen: true}
"""
FROZEN = "is frozen. Its dependencies are not going to be reproduced"
COPY = "cp in.txt second.txt\n"


@pytest.fixture
def folder(tmp_path):
    """A project of two stages that has not run."""
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    shutil.copy(ROOT / ".dvc/repro.py", tmp_path / ".dvc")
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "in.txt").write_text("one")
    (tmp_path / "second.sh").write_text(COPY)
    return tmp_path


def started(folder, command, **environment) -> subprocess.Popen[str]:
    own = {key: value for key, value in os.environ.items() if key != "CI"}
    return subprocess.Popen(
        command, cwd=folder, env=own | {"DVC_NO_ANALYTICS": "1"} | environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def run(folder, *command, **environment) -> tuple[int, str]:
    """Status and output of a command; of the wrapper without one."""
    process = started(folder, command or (sys.executable, ".dvc/repro.py"), **environment)
    printed, _ = process.communicate()
    return process.returncode, printed


def plain(folder) -> tuple[int, str]:
    """The same of `dvc repro`, but for its warning of frozen stages."""
    status, printed = run(folder, "dvc", "repro")
    lines = printed.splitlines(keepends=True)
    assert sum(FROZEN in line for line in lines) == 1
    return status, "".join(line for line in lines if FROZEN not in line)


def seconds(folder):
    return json.loads((folder / ".dvc/tmp/stage_seconds.json").read_text())


def test_it_adds_lines_to_what_dvc_prints_where_an_earlier_run_says_how_long_stages_take(folder):
    twin = shutil.copytree(folder, folder / "twin")
    assert run(folder)[0] == plain(twin)[0] == 0
    assert seconds(folder).keys() == {"first", "second"}
    times = {"first": 100.0, "second": 500.0, "of an older pipeline": 0.0}
    (folder / ".dvc/tmp/stage_seconds.json").write_text(json.dumps(times))
    for place in (folder, twin):
        (place / "in.txt").write_text("two")
    again, alone = run(folder), plain(twin)
    lines = ["stage 1 of 2, about 10 min left", "stage 2 of 2, about 8 min left"]
    assert [line for line in again[1].splitlines() if line.startswith("stage ")] == lines
    for line, name in zip(lines, ("first", "second"), strict=True):
        assert f"{line}\nRunning stage '{name}':\n" in again[1]
    assert (again[0], "".join(x for x in again[1].splitlines(True) if x[:-1] not in lines)) == alone
    assert seconds(folder).keys() == {"first", "second"}
    assert max(seconds(folder).values()) < 100


def test_the_first_run_says_how_far_it_is_and_not_how_long_is_left(folder):
    twin = shutil.copytree(folder, folder / "twin")
    (status, printed), alone = run(folder), plain(twin)
    for line, name in (("stage 1 of 2", "first"), ("stage 2 of 2", "second")):
        assert f"{line}\nRunning stage '{name}':\n" in printed
    lines = [line for line in printed.splitlines(True) if not line.startswith("stage ")]
    assert (status, "".join(lines)) == alone


def test_after_a_run_that_failed_every_stage_still_counts_and_no_time_is_made_up(folder):
    (folder / "second.sh").write_text("exit 3\n")
    assert run(folder)[0] != 0
    assert seconds(folder)["second"] is None
    assert seconds(folder)["first"] > 0
    (folder / "second.sh").write_text(COPY)
    assert "stage 2 of 2\nRunning stage 'second':\n" in run(folder)[1]
    (folder / "in.txt").write_text("two")
    assert "stage 1 of 2, about 10 s left\n" in run(folder)[1]


def test_a_stage_that_was_never_timed_counts_and_the_time_is_at_least_that_of_the_others(folder):
    assert run(folder, "dvc", "repro")[0] == 0
    (folder / "second.sh").write_text(f"{COPY}true\n")
    assert "stage 2 of 2\n" in run(folder)[1]
    assert seconds(folder).keys() == {"second"}  # the other one was skipped
    (folder / "in.txt").write_text("two")
    lines = [line for line in run(folder)[1].splitlines() if line.startswith("stage ")]
    assert lines == ["stage 1 of 2, at least 10 s left", "stage 2 of 2, about 10 s left"]


@pytest.mark.parametrize("broken", ["stages: [", "stages: {first: {cmd: 1}}", "stages: {a: {}}"])
def test_a_pipeline_that_dvc_cannot_read_is_dvcs_to_report(folder, broken):
    (folder / "dvc.yaml").write_text(broken)
    status, printed = run(folder)
    assert (status, printed) == run(folder, "dvc", "repro")
    assert status != 0


@pytest.mark.parametrize("damaged", ["", "[1]", '{"first": []}', '{"first": "x"}', "\x00"])
def test_a_damaged_table_of_times_is_no_table(folder, damaged, monkeypatch):
    remembered = runpy.run_path(str(folder / ".dvc/repro.py"))["remembered"]
    monkeypatch.chdir(folder)
    assert remembered() == {}
    (folder / ".dvc/tmp/stage_seconds.json").write_text('{"first": 2.0}')
    assert remembered() == {"first": 2.0}
    (folder / ".dvc/tmp/stage_seconds.json").write_text(damaged)
    assert remembered() == {}


def test_nothing_is_added_in_ci_and_a_failure_is_that_of_dvc(folder):
    (folder / ".dvc/tmp/stage_seconds.json").write_text('{"first": 9.0, "second": 9.0}')
    (folder / "second.sh").write_text("exit 3\n")
    status, printed = run(folder, CI="true")
    assert status == run(folder, "dvc", "repro")[0] != 0
    assert "stage 1" not in printed
    assert seconds(folder)["second"] == 9.0  # it did not come to its end
    assert seconds(folder)["first"] < 9.0


def test_ctrl_c_ends_it_as_it_ends_dvc(folder):
    (folder / "second.sh").write_text("touch running; exec sleep 600\n")
    ended = []
    for command in ((sys.executable, ".dvc/repro.py"), ("dvc", "repro")):
        process = started(folder, command)
        while not (folder / "running").exists():
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate()
        ended.append(process.returncode)
        (folder / "running").unlink()
    assert ended[0] == ended[1] != 0
