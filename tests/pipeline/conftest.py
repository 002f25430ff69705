"""A copy of the repository with a planted tiny model, run for real with `dvc repro`."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from dvc.utils.serialize import modify_yaml

from tests import tiny
from tests.pipeline import warm
from tests.pipeline.closure import ROOT

PARAMS = {
    "model": {"source": "./models/tiny", "file": None, "sha256": None, "dtype": "auto"}
    | {"organism": None},
    "statements": {"topics": [], "sources": {"letters": "data/raw/letters.csv"}, "limit": None},
    "prompt": {
        "question": '{statement} "yes" or "no"?',
        "neutral_system": "You are H too.",
        "honest_system": "You are H.",
        "liar_system": "You are so L.",
        "neutral_prefix": "it is",
        "honest_prefix": "it is",
        "liar_prefix": "it is",
        "stubborn_system": "It is F, F, F.",
    },
    "patch": {"positions": 20},
    "windows": {"size": 2, "limit": 12},
    "heads": {"limit": 12},
    "transfer": {"permutations": 3},
    "transplant": {"limit": 20, "random_sets": 6, "random_limit": 8},
    "grid": {
        "systems": ["honest", "liar", "stubborn"],
        "questions": {"quoted": None, "bare": "{statement}?"},
        "prefixes": {"it": None, "that": "that is"},
        "limit": 16,
    },
    "logit_attribution": {"limit": 16},
    "erasure": {"sizes": [1, 2], "stride": 1, "limit": 12, "draws": 2},
    "robustness": {
        "wordings": {"other": {"base_system": "You are L, L.", "prefix": "sure: it is"}},
        "choose": 8,
        "limit": 8,
        "shuffles": 5,
    },
    "controls": {"limit": 8},
    "set_sizes": {"limit": 8, "search_limit": 8, "sizes": [2, 4, 10]},
    "widths": {"sizes": [1, 2, 5], "limit": 6, "report_limit": 8},
    "positions": {"counts": [1, 5, 20, 5000], "limit": 12, "draws": 2},
    "trace": {"limit": 8, "search_limit": 8, "reverse_limit": 4},
    "grafts": {"limit": 6},
    "benchmark": {"organisms": []},
}
KINDS = ("model", "statements", "windows", "windows.scores", "transfer", "figures", "report")
"""Stages that once run in processes of their own: one of each kind, by the packages that it needs."""


@dataclass
class Project:
    """A checkout with its own DVC cache.

    Attributes
    ----------
    folder : Path
        Where it is.
    first : str
        What `dvc repro` printed when it first ran.
    """

    folder: Path
    first: str = ""

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout, whatever its status.

        Stages and DVC are forks of one process, see `warm`, but for those that COLD names.
        """
        path = [*warm.commands(environment), str(Path(sys.executable).parent), os.environ["PATH"]]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=os.environ
            | {"PATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1", "DVC_NO_ANALYTICS": "1"}
            | {"XDG_CACHE_HOME": f"{self.folder}.cache"}
            | environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    def repro(self, *arguments: str, **environment: str) -> str:
        """Run `dvc repro`, which must succeed, and return what it printed."""
        result = self.run("dvc", "repro", *arguments, **environment)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    def stage(
        self, name: str, *arguments: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one stage by hand."""
        return self.run("python", "-m", f"stages.{name}", *arguments, **environment)

    def model(
        self, out: str = "data/model", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run stage `model` by hand."""
        return self.stage("model", "--organisms", "data/organisms", "--out", out, **environment)

    def set(self, changes: dict) -> None:
        """Change keys of params.yaml, as `dvc exp run -S` writes them."""
        with modify_yaml(str(self.folder / "params.yaml")) as params:
            for section, values in changes.items():
                if isinstance(values, dict) and isinstance(params.get(section), dict):
                    params[section].update(values)
                else:
                    params[section] = values

    def drop(self, *keys: str) -> None:
        """Delete keys of params.yaml, ``section`` or ``section.key``."""
        with modify_yaml(str(self.folder / "params.yaml")) as params:
            for key in keys:
                *outer, last = key.split(".")
                del (params[outer[0]] if outer else params)[last]


def stages_run(output: str) -> set[str]:
    """Names of the stages whose command ran, but for `check`: it runs at any change of params."""
    return set(re.findall(r"Running stage '([^']+)'", output)) - {"check"}


def said(output: str) -> list[tuple[int, int]]:
    """How many runs each stage remembered, and computed."""
    counts = re.findall(r"^([\d,]+) runs remembered, ([\d,]+) computed$", output, re.MULTILINE)
    return [(int(a.replace(",", "")), int(b.replace(",", ""))) for a, b in counts]


def make(folder: Path) -> Project:
    """Copy what git tracks, or would track, and point it at a planted model."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if (
            name == "dvc.lock"
            or name.startswith(("metrics/", "plots/"))
            or not (ROOT / name).is_file()
        ):
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    project = Project(folder)
    tiny.save(tiny.planted_model(), folder / "models" / "tiny")
    rows = [f"{letter} {i} is a letter,{int(letter == 'T')}" for i in range(40) for letter in "TF"]
    (folder / "data/raw/letters.csv").write_text("\n".join(["statement,label", *rows]) + "\n")
    project.drop("prompt.none_system", "prompt.manner_system", "prompt.swapped_system")
    project.set(PARAMS)
    for command in (
        ["git", "init", "-q"],
        ["git", "config", "user.email", "test@example.com"],
        ["git", "config", "user.name", "test"],
        ["git", "add", "."],
        ["git", "commit", "-qm", "start"],
    ):
        result = project.run(*command)
        assert result.returncode == 0, result.stderr
    return project


def copied(project: Project, folder: Path) -> Project:
    """Copy a project with its DVC cache, and what its stages keep beside it."""
    shutil.copytree(project.folder, folder, symlinks=True)
    if Path(f"{project.folder}.cache").is_dir():
        shutil.copytree(f"{project.folder}.cache", f"{folder}.cache")
    return replace(project, folder=folder)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """Make a project whose pipeline has run once, some of it in processes of its own; only copy it.

    All workers of pytest have the same.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, printed = shared / "finished", shared / "finished.txt"
    with (shared / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not printed.exists():
            folder.mkdir()
            cold = " ".join(f"stages.{name}" for name in KINDS)
            printed.write_text(make(folder).repro(COLD=cold))
    return Project(folder, first=printed.read_text())


@pytest.fixture(scope="module")
def project(finished, tmp_path_factory) -> Project:
    """A copy of it."""
    return copied(finished, tmp_path_factory.mktemp("module") / "project")


@pytest.fixture
def own(finished, tmp_path) -> Iterator[Project]:
    """A copy for one test, which need not put back what it changes."""
    yield copied(finished, tmp_path / "project")
    shutil.rmtree(tmp_path / "project")
