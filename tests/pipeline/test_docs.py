"""The commands of the pages for users, run as they are written, in a project with a tiny model."""

import json
import re
import socket
from pathlib import Path

import polars as pl
import pytest
from dvc.utils.serialize import modify_yaml
from ruamel.yaml import YAML

from stages.lib.model import lm
from tests.docs import blocks, pages, reference
from tests.pipeline.closure import ROOT
from tests.pipeline.conftest import copied

RUN = ("sh", "console", "yaml", "python")
PAGES = (
    "stages/HOWTO.md",  # before others that run its first experiment, which is kept then
    "README.md",
    "stages/TUTORIAL.md",
    "stages/SCALING.md",
    "data/organisms/README.md",
    "data/raw/README.md",
    "tests/bench/README.md",
)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


STAND_INS = (
    # What takes long, or needs a network, and what does it in a tiny project.
    (r"^make repro\b.*", "dvc repro"),
    (r"^make (test|bench|organisms|organism-late|clean-cache)\b.*", r"make --dry-run \1"),
    (r"^make \.venv/installed$", "true"),
    (r"^source \.venv/bin/activate", "true"),
    (r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", "./models/tiny"),
    (r"--model data/model --out middle_9.json", "--model models/default --out middle_9.json"),
    (r"none, honest, liar, manner, swapped", "honest, liar, stubborn"),  # its own grid
    (r"^(dvc exp run --name sure .*|  -S .prompt.liar_prefix.*)", r"\1 behaviour"),
    (r"--num_processes 8", "--num_processes 2"),
    (r"(launch.sh\"\ndvc repro)", r"\1 --force --single-item windows"),
    (r"29500", str(free_port())),
    (r"/mnt/shared", "../shared"),
)  # fmt: skip
CLUSTER = {
    # Each task of an array, or the one job, one after the other.
    "sbatch": """
export SLURM_SUBMIT_DIR=$PWD
last=$(sed -n 's/^#SBATCH.*--array=0-\\([0-9]*\\).*/\\1/p' "$1")
for task in $(seq 0 "${last:-0}"); do SLURM_ARRAY_TASK_ID=$task bash -e "$1"; done
""",
    # The command on two nodes at once.
    "srun": """
SLURM_NODEID=0 "$@" & first=$!
SLURM_NODEID=1 "$@" & second=$!
wait $first && wait $second
""",
    "scontrol": "echo 127.0.0.1; echo 127.0.0.2\n",
}
MINE = "statement,label\nT is said.,1\nF is said.,0\n"
SIZES = {"n_layers": 30, "n_heads": 9, "d_model": 576}  # of the model of the committed benchmark


@pytest.fixture(scope="module")
def ready(finished, tmp_path_factory):
    """A project that has run, in a commit, with a file of a user's own."""
    project = copied(finished, tmp_path_factory.mktemp("docs") / "project")
    (project.folder / "data/raw/mine.csv").write_text(MINE)
    default = project.folder / "models/default"
    default.mkdir()
    (default / lm.MANIFEST).write_text(json.dumps({"sizes": SIZES}))
    project.repro("statements")  # which depends on all of data/raw
    commit = ["commit", "-qm", "all that has run"]
    for command in (["add", "."], commit, ["branch", "-M", "main"], ["tag", "ready"]):
        assert project.run("git", *command).returncode == 0
    return project


@pytest.fixture
def project(ready):
    """The same project each time, as it was committed."""
    yield ready
    for command in (
        ["git", "reset", "-q", "--hard", "ready"],
        ["git", "clean", "-qfd"],
        ["dvc", "checkout"],
        ["dvc", "exp", "remove", "--all-commits"],
    ):
        assert ready.run(*command).returncode == 0


def merge(into, values):
    """Put the keys of a page's block into params.yaml."""
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict) and key != "sources":
            merge(into[key], value)
        else:
            into[key] = value


def tiny(command):
    """The same command for a tiny project."""
    for pattern, instead in STAND_INS:
        command = re.sub(pattern, instead, command, flags=re.MULTILINE)
    return command


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A folder with commands that stand for a cluster's."""
    folder = tmp_path_factory.mktemp("cluster")
    for name, script in CLUSTER.items():
        (folder / name).write_text(f"#!/bin/bash\nset -e\n{script}")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_commands_run_as_they_are_written(page, project, cluster):
    """Settings of one section of a page are not those of the next one."""
    section = 0
    for block in (block for block in blocks.of(pages.text(page)) if block.kind in RUN):
        where = f"{page}, line {block.line}"
        if block.section != section:
            section = block.section
            assert project.run("git", "checkout", "-q", "params.yaml").returncode == 0
        if block.kind == "yaml":
            with modify_yaml(str(project.folder / "params.yaml")) as params:
                merge(params, YAML(typ="safe").load(tiny(block.content)))
            result = project.stage("check", "--out", "data/checked.json")
        elif block.kind == "python":
            result = project.run("python", "-c", block.content)
        else:
            command = f"PATH={cluster}:$PATH\n{tiny(block.command)}"
            result = project.run("bash", "-e", "-c", command)
        printed = result.stdout + result.stderr
        assert result.returncode == 0, f"{where}:\n{printed}"
        assert blocks.missing(block.output, printed) == [], f"{where}:\n{printed}"


def test_every_page_with_a_command_is_run():
    kinds = {name: {block.kind for block in blocks.of(pages.text(name))} for name in pages.names()}
    assert {name for name, actual in kinds.items() if actual - {""}} == set(PAGES)
    assert set().union(*kinds.values()) <= {*RUN, ""}  # one without a kind shows what is printed


def test_links_of_pages_lead_to_files():
    for page in [
        *ROOT.glob("*.md"),
        *ROOT.glob("*/README.md"),
        *ROOT.glob("*/*/README.md"),
        *ROOT.glob("stages/*.md"),
    ]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / Path(link)).exists(), (page, link)


def test_stages_write_the_columns_that_the_reference_lists(finished):
    for name, schema in reference.tables().items():
        if "ORGANISM" in name:  # of the benchmark, which no `dvc repro` runs
            continue
        for persona in ("honest", "liar"):
            file = finished.folder / name.replace("PERSONA", persona)
            assert pl.read_parquet_schema(file) == reference.schema(schema), name
