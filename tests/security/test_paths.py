"""What a file of ours names is in its own folder: nothing leads out of it but the user's params."""

import json

import pytest

from stages.lib import shards
from stages.lib.io import tables
from stages.lib.io.cli import UserError
from stages.lib.model import lm
from stages.lib.model.pretrained import files
from stages.lib.model.pretrained.files import IDENTITY
from stages.statements.sources import listed

FILE = {"name": "config.json", "size": 2, "sha256": "0" * 64}
MANIFEST = {"kind": "folder", "source": "models/tiny", "dtype": "float32", "identity": "x"}
OUTSIDE = (
    *("../secret", "/etc/passwd", "..", "", "a/../../b", "config.json/../../b", "model/../x.json"),
    *("model/../../x.safetensors", "additional_chat_templates/../../x.jinja", "vocab./../../etc"),
    *("tokenizer/../../x", "chat_template/../x", "tokenizer\n/x", "~/.ssh/id", "\\\\host\\x"),
)


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_manifest_names_files_of_its_folder_alone(name, tmp_path):
    """They are linked into a folder that transformers reads: of any other place, and to any."""
    tables.write_json(tmp_path / lm.MANIFEST, MANIFEST | {"files": [FILE | {"name": name}]})
    with pytest.raises(
        UserError, match=r"manifest.json: cut or changed .* \(files\[0\].name: found"
    ):
        lm.load_config(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"files": None}, "files: found NoneType, expected list"),
        ({"kind": 3}, "kind: found int, expected str"),
        ({"identity": None}, "identity: found NoneType"),
        ({"files": [{}]}, r"files\[0\]: expected name, size, sha256"),
        ({"files": ["config.json"]}, r"files\[0\]: expected"),
    ],
)
def test_a_manifest_that_lacks_something_is_one_line(change, said, tmp_path):
    tables.write_json(tmp_path / lm.MANIFEST, MANIFEST | {"files": [FILE]} | change)
    for read in (lm.load_config, lm.load_tokenizer, lm.load):
        with pytest.raises(UserError, match=said) as error:
            read(tmp_path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_pattern_of_a_models_files_leads_out(name):
    assert not IDENTITY.fullmatch(name)
    assert not files.WEIGHTS.fullmatch(name)


@pytest.mark.parametrize("name", [name for name in OUTSIDE if name])
def test_an_index_of_activations_names_shards_of_its_folder_alone(name, tmp_path):
    index = {"statement_ids": ["a"], "positions": [-1], "n_layers": 1, "n_heads": 1}
    index["shards"] = [{"file": name, "n_rows": 1, "sha256": "0" * 64}]
    (tmp_path / shards.INDEX).write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"shards\[0\].file: expected 00000.safetensors"):
        shards.Reader(tmp_path)


@pytest.mark.parametrize(
    "file", ["../own.csv", "/etc/passwd.csv", "data/raw/../../own.csv", "data/rawer/own.csv"]
)
def test_a_file_of_statements_is_in_its_folder(file, tmp_path, monkeypatch):
    (tmp_path / "data/raw").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="is outside data/raw"):
        listed.read("params.yaml: statements.sources", {"own": file})
