"""A checkout may lie anywhere: in a path with blanks, quotes and letters beyond ASCII."""

import os
import shutil
import subprocess

from tests.pipeline.closure import ROOT
from tests.pipeline.conftest import make, stages_run

NAME = 'it\'s a  "ünï" $dir'


def test_make_repro_touches_nothing_outside_the_checkout(tmp_path):
    """A stand-in for DVC notes one time: the recipes are what is looked at."""
    folder = tmp_path / NAME
    (folder / ".venv").mkdir(parents=True)
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv/installed").touch()
    (folder / ".dvc").mkdir()
    (folder / ".dvc/print_results.py").write_text("")
    (folder / ".dvc/repro.py").write_text(
        'import os\nopen(os.environ["STAGE_TIMES"], "a").write("all\\t1.5\\t64\\n")\n'
    )
    decoys = [tmp_path / "it's", tmp_path / "a", tmp_path / "it", folder / ".dvc/tmp/kept"]
    for decoy in decoys:
        decoy.parent.mkdir(parents=True, exist_ok=True)
        decoy.write_text("mine")
    before = sorted(tmp_path.iterdir())
    dry = _make(folder, "-n")
    assert dry.returncode == 0, dry.stderr
    assert str(folder) not in dry.stdout
    for _ in range(2):  # the second time there is a table of times to remove
        result = _make(folder)
        assert result.returncode == 0, result.stderr
        assert result.stdout.count("1.5 s     64 MiB  all") == 1
    assert sorted(tmp_path.iterdir()) == before
    assert {decoy.read_text() for decoy in decoys} == {"mine"}


def _make(folder, *options):
    """Run `make repro` there as a shell would, also where `make test` runs these tests."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    command = ["make", "repro", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)


def test_stages_run_in_such_a_path(tmp_path):
    folder = tmp_path / NAME
    folder.mkdir()
    project = make(folder)
    output = project.repro("statements", COLD="dvc stages.check stages.statements")
    assert stages_run(output) == {"statements"}
    assert (folder / "data/statements.parquet").is_file()
    result = project.stage("statements", "--out", f"{folder}/data/again.parquet")
    assert result.returncode == 0, result.stderr
    again = (folder / "data/again.parquet").read_bytes()
    assert again == (folder / "data/statements.parquet").read_bytes()
