"""The heads that were chosen, read in other tools by the lines of the how-to."""

import json
import re
from pathlib import Path

import pytest
import torch

from tests import tiny
from tests.pipeline.closure import ROOT

HEADS = [[1, 2], [3, 0]]
PAGE = ROOT / "stages/HOWTO.md"
IDS = list(range(20, 40))


def lines(tool):
    """The block of the page that names the tool before it."""
    section = PAGE.read_text(encoding="utf-8").split("## Use the heads in another tool")[1]
    before, after = section.split("```python\n", 2)[1:]
    block = {"TransformerLens": before, "nnsight": after}[tool].split("```")[0]
    return re.sub(r"\b64\b", "16", block)  # the tiny model's width of a head


@pytest.fixture
def expected(tmp_path, monkeypatch):
    """Save a tiny model and its chosen heads; z of all heads by hand."""
    model = tiny.random_model()
    tiny.save(model, tmp_path / "model")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/heads.json").write_text(json.dumps({"heads": HEADS}))
    monkeypatch.chdir(tmp_path)
    z = {}
    for layer, head in HEADS:

        def keep(_, args, layer=layer, head=head):
            z[layer, head] = args[0][..., 16 * head : 16 * (head + 1)].detach()

        module = model.get_submodule(f"model.layers.{layer}.self_attn.o_proj")
        module.register_forward_pre_hook(keep)
    with torch.no_grad():
        model(torch.tensor([IDS]))
    return z


@pytest.mark.parametrize("tool", ["TransformerLens", "nnsight"])
def test_the_lines_of_the_page_read_the_heads(tool, expected):
    scope = {"json": json, "Path": Path, "prompt": torch.tensor([IDS])}
    if tool == "nnsight":
        nnsight = pytest.importorskip("nnsight")
        scope["model"] = nnsight.LanguageModel("model", device_map="cpu", dispatch=True)
    else:
        bridges = pytest.importorskip("transformer_lens.model_bridge")
        scope["model"] = bridges.TransformerBridge.boot_transformers("model", device="cpu")
    exec(lines(tool), scope)
    z = scope["z"]
    assert sorted(z) == [tuple(head) for head in HEADS]
    for head, values in expected.items():
        torch.testing.assert_close(z[head].detach().float(), values, atol=1e-5, rtol=1e-4)
