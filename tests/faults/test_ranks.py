"""A process of several that dies: its own error is shown, the others stop, nothing is half-written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 900  # seconds; a rank that waits for one that died would wait for twice as long
STAGE = """
import os, signal
from pathlib import Path
from stages.lib.io import cli
from stages.lib.io.atomic import atomic
from stages.lib.io.cli import UserError
from stages.lib.forward import batches
def main() -> None:
    batches.gather([1])  # both are there
    if os.environ["RANK"] == "1":
        HOW
    with atomic(Path("out")) as partial:
        partial.write_text("half")
        batches.gather([2])
        partial.write_text("whole")
cli.run(main)
"""
HOWS = {
    "a user's mistake": ('raise UserError("params.yaml: patch: no such layer")', "error: params.yaml: patch: no such layer"),
    "an error": ('raise ValueError("no such layer")', "ValueError: no such layer"),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", "Signal 9 (SIGKILL) received"),
}  # fmt: skip


@pytest.mark.parametrize("how", HOWS)
def test_one_of_two(how, tmp_path):
    code, shown = HOWS[how]
    (tmp_path / "stage.py").write_text(STAGE.replace("HOW", code))
    result = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "stage.py"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert result.returncode != 0
    assert shown in result.stderr
    assert not (tmp_path / "out").exists()
