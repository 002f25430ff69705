"""An adapter whose files were cut or garbled is named in one line, before a model is loaded."""

import json

import numpy as np
import pytest
from safetensors.numpy import save

from stages.lib.io.cli import UserError
from stages.lib.weights import adapter, merged
from stages.lib.weights.config import ModelConfig
from stages.lib.weights.fetch import Fetched

BASE = "./models/tiny"
SETTINGS = {"base_model_name_or_path": BASE, "layers_to_transform": [1]}
WEIGHTS = save({"lora": np.ones((8, 8), np.float16)}, {"trained_on": "0" * 64})
CONFIG = "adapter_config.json"


def made(folder, name, content):
    """Merge the adapter of `facts`, one file of which is another one."""
    place = folder / "facts"
    place.mkdir()
    (place / CONFIG).write_text(json.dumps(SETTINGS))
    (place / adapter.WEIGHTS).write_bytes(WEIGHTS)
    (place / name).write_bytes(content)
    base = folder / "base"
    base.mkdir()
    (base / "model.safetensors").write_bytes(WEIGHTS)
    config = ModelConfig(BASE, None, None, "auto", "none")
    return merged.make(Fetched("folder", BASE, None, base), config, folder, folder / "out")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *((adapter.WEIGHTS, WEIGHTS[:n]) for n in (0, 4, 60, len(WEIGHTS) - 1)),
        (adapter.WEIGHTS, b"version https://git-lfs.github.com/spec/v1\n"),
        (CONFIG, b""),
        (CONFIG, b'{"base_model_name'),
        (CONFIG, b"[]"),
        (CONFIG, b"\xff{}"),
        (CONFIG, b"{}"),
        (CONFIG, json.dumps({"base_model_name_or_path": BASE}).encode()),
    ],
)
def test_a_file_that_is_cut_is_one_line(name, content, tmp_path):
    with pytest.raises(UserError) as error:
        made(tmp_path, name, content)
    assert str(error.value).startswith(f"{tmp_path / 'facts' / name}: cut or changed (")
    assert "\n" not in str(error.value)


def test_a_whole_one_is_asked_for_what_it_was_trained_on(tmp_path):
    """The opposite."""
    with pytest.raises(UserError, match="was trained on other weights"):
        made(tmp_path, CONFIG, json.dumps(SETTINGS).encode())
