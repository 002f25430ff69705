"""A hub id with its commit: weights are read from the hub's cache, the out is a manifest."""

import json

import pytest

from tests import tiny
from tests.pipeline.conftest import make
from tests.pipeline.warm import HUB

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = make(tmp_path_factory.mktemp("hub"))
    project.set({"model": {"source": f"org/tiny@{COMMIT}"}})
    cache = project.folder / "cache" / "hub" / "models--org--tiny"
    tiny.save(tiny.planted_model(), cache / "snapshots" / COMMIT)
    result = project.stage("statements", "--out", "data/statements.parquet")
    assert result.returncode == 0, result.stderr
    return project


def test_weights_stay_in_the_cache_and_later_stages_find_them(project):
    result = project.model("data/model", **HUB)
    assert result.returncode == 0, result.stderr
    assert [file.name for file in (project.folder / "data/model").iterdir()] == ["manifest.json"]
    manifest = json.loads((project.folder / "data/model/manifest.json").read_text())
    assert (manifest["kind"], manifest["source"], manifest["revision"]) == (
        "hub",
        "org/tiny",
        COMMIT,
    )
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        f["name"] for f in manifest["files"]
    }

    options = [
        "--statements",
        "data/statements.parquet",
        "--model",
        "data/model",
        "--persona",
        "liar",
    ]
    result = project.stage("prompts", *options, "--out", "data/prompts/liar.parquet", **HUB)
    assert result.returncode == 0, result.stderr
    options = ["--prompts", "data/prompts/liar.parquet", "--model", "data/model"]
    outs = ["--out", "data/activations/liar", "--readouts", "data/readouts/liar.parquet"]
    result = project.stage("activations", *options, *outs, **HUB)
    assert result.returncode == 0, result.stderr


def test_identity_is_that_of_the_same_files_in_a_folder(project):
    assert project.model("data/hub", **HUB).returncode == 0
    project.set({"model": {"source": "./models/tiny"}})
    assert project.model("data/folder").returncode == 0
    project.set({"model": {"source": f"org/tiny@{COMMIT}"}})
    hub, folder = (
        json.loads((project.folder / f"data/{n}/manifest.json").read_text())
        for n in ("hub", "folder")
    )
    assert hub["identity"] == folder["identity"]


def test_a_model_that_cannot_be_downloaded_is_one_line(project):
    offline = {"HF_HOME": str(project.folder / "nothing"), "HF_HUB_OFFLINE": "1"}
    result = project.model("data/none", **offline)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(
        f"error: params.yaml: model.source: org/tiny@{COMMIT} could not be downloaded ("
    )
    assert not (project.folder / "data/none").exists()
