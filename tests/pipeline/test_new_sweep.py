"""A new sweep takes the seven files of `new_sweep`: added to a project, it runs, is drawn, reported."""

import json
import shutil
from pathlib import Path

import pytest
from dvc.utils.serialize import modify_yaml
from ruamel.yaml import YAML

from tests import tiny
from tests.pipeline.conftest import Project, stages_run

TEMPLATE = Path(__file__).parent / "new_sweep"
NAME = "single_layers"
N_STATEMENTS = 6  # of the selection part, as many as `widths` takes


def merge(into, values):
    """Add a template's settings: what is in a list to the list, what is in a mapping to it."""
    for key, value in values.items():
        if isinstance(value, dict) and key in into:
            merge(into[key], value)
        elif isinstance(value, list) and key in into:
            into[key] += value
        else:
            into[key] = value


def add_sweep(folder):
    """Do what stages/README.md says of a new sweep."""
    node = folder / "stages" / NAME
    node.mkdir()
    for file in TEMPLATE.glob("*.py"):
        shutil.copy(file, node)
    for file in TEMPLATE.glob("*.yaml"):
        with modify_yaml(str(folder / file.name)) as values:
            merge(values, YAML(typ="safe").load(file.read_text()))


@pytest.fixture(scope="module")
def extended(project, tmp_path_factory):
    """Add the sweep to a copy of a project whose pipeline has run, and run it again."""
    folder = tmp_path_factory.mktemp("extended") / "project"
    shutil.copytree(project.folder, folder, symlinks=True)
    project = Project(folder)
    for command in (["add", "."], ["commit", "-qm", "all that has run"]):
        assert project.run("git", *command).returncode == 0
    add_sweep(folder)
    project.set({NAME: {"limit": N_STATEMENTS}})
    project.run("git", "add", ".")
    touched = project.run("git", "diff", "--cached", "--name-only").stdout.splitlines()
    return project, touched, project.repro()


def load(project, name):
    return json.loads((project.folder / name).read_text())


def test_a_new_sweep_touches_seven_files(extended):
    _, touched, _ = extended
    own = {f"stages/{NAME}/{file.name}" for file in TEMPLATE.glob("*.py")}
    assert set(touched) == own | {"params.yaml", "dvc.yaml"}
    assert len(touched) <= 7


def test_it_alone_runs_and_what_shows_it(extended):
    _, _, output = extended
    assert stages_run(output) == {NAME, f"scores@{NAME}", "figures", "report"}


def test_its_numbers_are_those_of_windows_of_one_layer(extended):
    project, _, _ = extended
    keys = ("accuracy", "low", "high", "n", "truth", "truth_low", "truth_high")
    expected = {
        row["first_layer"]: [row[key] for key in keys]
        for row in load(project, "plots/widths/layers.json")
        if row["run"] == "patched" and row["size"] == 1
    }
    found = {
        row["layer"]: [row[key] for key in keys]
        for row in load(project, f"plots/{NAME}/layers.json")
        if row["run"] == "patched" and row["part"] == "selection"
    }
    assert found == expected
    assert len(found) == 5
    metrics = load(project, f"metrics/{NAME}.json")
    assert metrics["best"] == tiny.PLANTED_LAYER
    assert (metrics["patched"]["accuracy"], metrics["base"]["accuracy"]) == (1.0, 0.0)
    assert metrics["patched"]["n"] == N_STATEMENTS


def test_it_is_drawn_and_reported(extended):
    project, _, _ = extended
    picture = project.folder / f"plots/figures/{NAME}.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    page = (project.folder / "plots/report.md").read_text()
    assert "| [One layer alone carries the lie](#one-layer-alone-carries-the-lie) | held |" in page
    assert f"](figures/{NAME}.png)" in page
    assert "accuracy 1 [" in page.split("## One layer alone")[1]


def test_its_deps_are_what_it_imports(extended):
    """As the tests of dvc.yaml say, in the extended project."""
    project, _, _ = extended
    tests = ("tests/pipeline/test_dvc_yaml.py", "-k", "deps or imports or section or leaves")
    options = ("-o", "addopts=-q", "--import-mode", "importlib", "-p", "no:cacheprovider")
    result = project.run("python", "-m", "pytest", *options, *tests)
    assert result.returncode == 0, result.stdout
