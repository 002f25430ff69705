"""Ctrl-C while workers fit: one line, of the process that started them, and nothing is left."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import pytest

from stages.lib.probing import workers

ROOT = Path(__file__).parents[3]
PATIENCE = 120  # seconds, on a machine that does other things too
STAGE = """
import os, time
from pathlib import Path
import joblib
from stages.lib.io import cli
from stages.lib.io.atomic import atomic
from stages.lib.probing import workers
def fit(i):
    Path(f"fits{i}").touch()
    time.sleep(600)
def main() -> None:
    with atomic(Path("out")) as partial:
        partial.write_text("half")
        Path("begun").touch()
        list(workers.run_jobs((joblib.delayed(fit)(i) for i in range(6)), 2))
if __name__ == "__main__":
    cli.run(main)
"""
# joblib's thread looks for jobs before the first one is there, and is slow to look again.
LATE = """
import time
from pathlib import Path
from joblib.externals.loky import process_executor
class Late(process_executor._ExecutorManagerThread):
    looked = False
    def add_call_item_to_queue(self):
        if self.looked:
            return super().add_call_item_to_queue()
        self.looked = True
        while self.work_ids_queue.empty():
            time.sleep(0.01)
        Path("late").touch()
        time.sleep(1)
process_executor._ExecutorManagerThread = Late
"""


def mask():
    """Signals that wait in this process."""
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_no_worker_hears_of_ctrl_c_and_who_started_them_does():
    before = mask()
    assert all(
        signal.SIGINT in blocked for blocked in workers.run_jobs([joblib.delayed(mask)()] * 3, 2)
    )
    assert mask() == before
    assert signal.SIGINT not in before


def test_results_are_in_order_whoever_is_first():
    for n_jobs in (1, 2):
        assert list(workers.run_jobs((joblib.delayed(pow)(i, 2) for i in range(9)), n_jobs)) == [
            i * i for i in range(9)
        ]


@pytest.mark.parametrize(
    ("sign", "later"), [("begun", 0), ("begun", 0.15), ("begun", 0.3), ("fits0", 0)]
)
def test_ctrl_c_is_one_line_while_workers_start_and_while_they_fit(sign, later, tmp_path):
    assert said_after_ctrl_c(STAGE, sign, later, tmp_path) == (130, "interrupted\n")
    assert not list(tmp_path.glob("out*"))


def test_ctrl_c_is_one_line_when_a_job_is_dropped_before_joblib_took_it(tmp_path):
    assert said_after_ctrl_c(LATE + STAGE, "late", 0, tmp_path) == (130, "interrupted\n")


def test_an_error_of_any_other_thread_is_printed(capfd):
    def fail():
        raise KeyError("not of joblib")

    list(workers.run_jobs([joblib.delayed(pow)(1, 1)], 2))
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert "KeyError: 'not of joblib'" in capfd.readouterr().err


def said_after_ctrl_c(stage, sign, later, tmp_path):
    """Exit status and messages of a stage that gets Ctrl-C some seconds after a file appears."""
    (tmp_path / "stage.py").write_text(stage)
    process = subprocess.Popen(
        [sys.executable, "stage.py"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True, start_new_session=True, stderr=subprocess.PIPE,
    )  # fmt: skip
    end = time.monotonic() + PATIENCE
    while not (tmp_path / sign).exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(later)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, said = process.communicate(timeout=PATIENCE)  # workers hold its end too: they have ended
    return process.returncode, said
