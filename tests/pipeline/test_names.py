"""Names of params.yaml reach no shell: what they would run does not run, through real `dvc repro`."""

import pytest

from tests.pipeline.conftest import make

NAMES = ["x;touch X;", "a$(touch X)", "a'; touch X; '", 'a"; touch X; "', "a\ntouch X"]


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """Make a project with its model and its statements."""
    project = make(tmp_path_factory.mktemp("names"))
    project.repro("model", "statements")
    project.run("git", "add", ".")
    project.run("git", "commit", "-qm", "ready")
    return project


@pytest.fixture
def project(ready):
    """The same project each time, with params.yaml as it was."""
    yield ready
    assert ready.run("git", "checkout", "-q", "params.yaml").returncode == 0


def named(project, name, kind):
    """Give a persona or a system prompt of the grid a name, with all that DVC asks for."""
    texts = {f"{name}_system": "You are X.", f"{name}_prefix": "it is"}
    project.set({"prompt": texts})
    if kind == "prompts":
        project.set({"personas": ["neutral", "honest", name]})
    else:
        project.set({"grid": {"systems": ["honest", name]}})


def ran(project):
    """Whether the name was run as a command."""
    return [path for path in project.folder.rglob("X*") if path.name.startswith("X")]


@pytest.mark.parametrize("kind", ["prompts", "wordings"])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_refused_by_the_first_stage(project, name, kind):
    named(project, name, kind)
    result = project.run("dvc", "repro", kind)
    assert result.returncode != 0
    assert not ran(project)
    (line,) = [row for row in result.stderr.splitlines() if row.startswith("error: ")]
    assert f"found {name!r}, expected a name of [a-z0-9_]" in line
    assert "Running stage 'check'" in result.stdout
    assert "Running stage 'prompts" not in result.stdout


@pytest.mark.parametrize("kind", ["prompts", "wordings"])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_no_command_where_only_its_own_stage_runs(project, name, kind):
    """`--single-item` leaves `check` out, and `--force` the search for what is missing."""
    named(project, name, kind)
    stage = f"prompts@{name}" if kind == "prompts" else kind
    result = project.run("dvc", "repro", "--single-item", "--force", stage)
    assert result.returncode != 0
    assert f"Running stage '{kind}" in result.stdout
    assert not ran(project)
    assert "error: params.yaml: " in result.stderr


@pytest.mark.parametrize("name", NAMES)
def test_what_a_role_is_called_is_in_no_command(project, name):
    """With both options DVC runs a stage whose dep is missing."""
    project.set({"patch": {"source": name, "base": "a$(touch X)"}})
    for options in ([], ["--single-item"], ["--single-item", "--force"]):
        result = project.run("dvc", "repro", *options, "windows")
        assert result.returncode != 0
        assert not ran(project)
    assert f"error: params.yaml: patch.source: found {name!r}, expected a name" in result.stderr
