"""A project of one stage that runs no model, so that a fault costs seconds; and disks to run it on."""

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARAMS = """statements:
  {topics: [], negated: false, sources: {own: data/raw/own.csv}, contradictions: refuse,
   limit: null, report_share: 0.5, seed: 0}
"""
PIPELINE = """stages:
  statements:
    cmd: sh wait.sh && python -m stages.statements --out out/statements.parquet
    deps: [data/raw]
    params: [statements]
    outs: [out/statements.parquet]
"""
# Says that the stage has begun, and holds it for as long as there is a file `hold`.
WAIT = "touch begun\nwhile [ -e hold ]; do sleep 0.05; done\n"
MOUNT = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'
NAMESPACE = ("unshare", "--mount", "--map-root-user", "sh", "-c", MOUNT, "sh")


@cache
def can_mount() -> bool:
    """Whether a process may have a disk of its own, which nobody else sees and which ends with it."""
    try:
        tried = subprocess.run([*NAMESPACE, "size=4k", "/tmp", "true"], capture_output=True)
    except OSError:
        return False
    return tried.returncode == 0


@dataclass(frozen=True)
class Small:
    """The project.

    Attributes
    ----------
    folder : Path
        Where it is.
    """

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "Small":
        """Write it, and 300 statements."""
        project = cls(folder)
        (folder / "data/raw").mkdir(parents=True)
        (folder / "out").mkdir()
        rows = [f"Town {i} is in land {i % 7}.,{i % 2}\n" for i in range(300)]
        (folder / "data/raw/own.csv").write_text("statement,label\n" + "".join(rows))
        (folder / "params.yaml").write_text(PARAMS)
        (folder / "dvc.yaml").write_text(PIPELINE)
        (folder / "wait.sh").write_text(WAIT)
        assert project.run("dvc", "init", "-q", "--no-scm").returncode == 0
        return project

    @property
    def out(self) -> Path:
        """What its stage writes."""
        return self.folder / "out/statements.parquet"

    @property
    def environment(self) -> dict[str, str]:
        """Variables of its commands."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        own = {"PATH": path, "PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1"}
        return dict(os.environ) | own | {"XDG_CACHE_HOME": f"{self.folder}/kept"}

    def start(self, *command: str) -> "subprocess.Popen[str]":
        """Start a command in a session of its own, as a terminal's."""
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(
        self, *command: str, disk: tuple[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; with a disk of its own at a folder, given with its options."""
        head = (*NAMESPACE, *disk) if disk else ()
        process = self.start(*head, *command)
        said = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, *said)
