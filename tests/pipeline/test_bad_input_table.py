"""Every bad input of the table: status 1, one clear line, nothing half-written."""

import shutil

import pytest

from tests.pipeline.bad_input import model, prompts, readout, settings, statements
from tests.pipeline.bad_input.case import STAGES
from tests.pipeline.conftest import Project, make

CASES = [*settings.CASES, *model.CASES, *statements.CASES, *prompts.CASES, *readout.CASES]


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """Make a project with its model and its statements, and nothing after them."""
    project = make(tmp_path_factory.mktemp("ready"))
    for stage in ("model", "statements"):
        result = project.stage(stage, *STAGES[stage][0].split())
        assert result.returncode == 0, result.stderr
    return project


def test_every_row_has_a_name_of_its_own():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(ready, tmp_path, case):
    folder = tmp_path / "project"
    shutil.copytree(ready.folder, folder, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    project = Project(folder)
    case.spoil(project)
    for stage in case.before:
        result = project.stage(stage, *STAGES[stage][0].split())
        assert result.returncode == 0, result.stderr
    arguments, outs = STAGES[case.stage]
    for out in outs:  # as DVC does before it runs a stage
        shutil.rmtree(folder / out, ignore_errors=True)
        (folder / out).unlink(missing_ok=True)
    result = project.stage(case.stage, *arguments.split(), **case.environment)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    errors = [row for row in result.stderr.splitlines() if row.startswith("error: ")]
    assert errors == result.stderr.strip().splitlines()[-1:], result.stderr
    assert case.expected in errors[0]
    for out in outs:
        assert not (folder / out).exists()
        assert not (folder / f"{out}.partial").exists()
