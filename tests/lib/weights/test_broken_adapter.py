"""An adapter whose files were cut or garbled is named in one line, before a model is loaded."""

import json
from hashlib import sha256

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
    config = ModelConfig(BASE, None, None, "auto", "facts")
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


@pytest.mark.parametrize("name", [CONFIG, adapter.WEIGHTS])
def test_a_bit_that_is_flipped_is_seen(name, tmp_path):
    """In a lie's weights nothing else would show it: they are numbers as good as any."""
    files = {CONFIG: json.dumps(SETTINGS).encode(), adapter.WEIGHTS: WEIGHTS}
    folder = tmp_path / "lie"
    folder.mkdir()
    for file, content in files.items():
        (folder / file).write_bytes(content)
    sums = [f"{sha256(content).hexdigest()}  {file}\n" for file, content in files.items()]
    (folder / adapter.SUMS).write_text("".join(sums))
    adapter.require_whole(folder)
    content = files[name]
    for place in range(len(content)):
        flipped = bytes([content[place] ^ 1 << place % 8])
        (folder / name).write_bytes(content[:place] + flipped + content[place + 1 :])
        with pytest.raises(UserError, match=f"{name}: cut or changed"):
            adapter.require_whole(folder)


def test_an_adapter_of_somebody_else_has_no_sums(tmp_path):
    adapter.require_whole(tmp_path)


def test_a_whole_one_is_asked_for_what_it_was_trained_on(tmp_path):
    """The opposite."""
    with pytest.raises(UserError, match="was trained on other weights"):
        made(tmp_path, CONFIG, json.dumps(SETTINGS).encode())
