"""A disk that is full or read-only: one line, nothing half-written, and afterwards the same bytes."""

import pytest

from tests.faults.small import Small, can_mount

pytestmark = pytest.mark.skipif(not can_mount(), reason="no mounts in a namespace on this machine")
FULL, READ_ONLY = ("size=8k", "No space left on device"), ("ro", "Read-only file system")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Bytes of a run that nothing disturbs."""
    project = Small.make(tmp_path_factory.mktemp("undisturbed"))
    assert project.run("dvc", "repro").returncode == 0
    content = project.out.read_bytes()
    assert len(content) > 8192  # more than there is room for
    return content


@pytest.fixture
def project(tmp_path):
    return Small.make(tmp_path)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("options", "reason"), [FULL, READ_ONLY])
def test_where_a_stage_writes(options, reason, project, undisturbed):
    command = ("python", "-m", "stages.statements", "--out", "out/statements.parquet")
    result = project.run(*command, disk=(options, "out"))
    said = f"error: out/statements.parquet: cannot be written: {reason}\n"
    assert (result.returncode, result.stderr) == (1, said)
    assert names(project.folder / "out") == []
    assert project.run(*command).returncode == 0
    assert project.out.read_bytes() == undisturbed


@pytest.mark.parametrize(("options", "reason"), [FULL, READ_ONLY])
def test_where_dvc_keeps_its_cache(options, reason, project, undisturbed):
    (project.folder / ".dvc/cache").mkdir(exist_ok=True)
    result = project.run("dvc", "repro", disk=(options, ".dvc/cache"))
    assert result.returncode != 0
    assert reason in result.stderr
    assert "Traceback" not in result.stderr
    assert not (project.folder / "dvc.lock").exists()
    result = project.run("dvc", "repro")
    assert result.returncode == 0, result.stderr
    assert project.out.read_bytes() == undisturbed
    assert "up to date" in project.run("dvc", "repro").stdout


STORE = """
from stages.lib.io import store
values = {store.key({"run": i}): b"%d" % i * 100 for i in range(400)}
for key, value in values.items():
    store.write({key: value})
found = store.read(values)
assert found.items() <= values.items()
print(len(found))
"""


@pytest.mark.parametrize(
    ("options", "reason"),
    [("size=48k", "database or disk is full"), ("ro", "Read-only file system")],
)
def test_where_what_is_computed_is_kept(options, reason, project):
    """The stage goes on; what was kept before is whole."""
    (project.folder / "kept").mkdir()
    result = project.run("python", "-c", STORE, disk=(options, "kept"))
    assert result.returncode == 0, result.stderr
    (line,) = result.stderr.splitlines()
    assert "nothing is kept: " in line
    assert reason in line
    assert (int(result.stdout) > 0) == (options != "ro")
    assert project.run("python", "-c", STORE).stdout == "400\n"
