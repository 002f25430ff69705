"""Models whose weights are not all in one place: the numbers of one device."""

import accelerate
import numpy as np
import pytest
import torch

from stages.lib import forward
from stages.lib.forward.parts import Splitter
from stages.lib.grafting import weights
from stages.lib.io.cli import UserError
from stages.lib.model import readout
from stages.lib.model.pretrained import loading
from stages.lib.model.pretrained.files import Place
from stages.lib.model.readout import ReadoutConfig
from tests import tiny
from tests.lib.forward.test_forward import mask, prompts

TAIL = 5
NAMES = ["model.embed_tokens", *(f"model.layers.{i}" for i in range(4)), "model.norm"]
NAMES += ["model.rotary_emb", "lm_head"]


def spread(**elsewhere):
    """Where each part of the model is: on the CPU, unless said otherwise."""
    return dict.fromkeys(NAMES, "cpu") | {
        NAMES[int(i[1:])]: place for i, place in elsewhere.items()
    }


PLACES = {
    "some layers on disk": spread(_2="disk", _4="disk"),
    "all on disk": dict.fromkeys(NAMES, "disk"),
}


def on(kind, folder):
    """Spread the random model."""
    model = tiny.random_model().requires_grad_(False)
    if kind == "loaded":  # as `lm.load` does where GPUs and memory do not hold a model
        tiny.save(model, folder)
        place = Place(folder, tuple(file.name for file in folder.iterdir()), str(folder))
        model = loading.model(place, torch.float32, spread(_2="disk", _3="disk"))
        model.requires_grad_(False)
    elif kind == "offloaded":
        accelerate.cpu_offload(model, torch.device("cpu"))
    elif kind in PLACES:
        accelerate.dispatch_model(
            model, PLACES[kind], main_device=torch.device("cpu"), offload_dir=str(folder)
        )
    assert kind == "whole" or any(p.is_meta for p in model.parameters())
    return tiny.wrap(model)


def numbers(lm):
    """Patched runs, activations, gradients, and parts of the logits."""
    answers = readout.answers(lm.tokenizer, ReadoutConfig(("true",), ("false",)))
    base, source = prompts(1), prompts(2)
    patcher = forward.Patcher(lm, answers, base, source, TAIL)
    runs = patcher(mask(lm, (1, slice(None)), (2, 0), (3, 1)), "test")
    (result,) = forward.capture(lm, answers, base, [-1, -3], 99, "test")
    parts = Splitter(lm, answers, base[:2])(
        lambda layer: result["resid_post"][:, 0, layer],
        lambda layer: result["z"][:, 0, layer],
        "test",
    )
    some = {"patched": runs.patched, "source": runs.source, "gradient": patcher.attribution("test")}
    return some | result | {"heads": parts.heads, "lens": parts.lens}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return numbers(on("whole", tmp_path_factory.mktemp("whole")))


@pytest.mark.parametrize("kind", ["loaded", "offloaded", *PLACES])
def test_every_number_is_that_of_one_device(kind, expected, tmp_path):
    lm = on(kind, tmp_path)
    for name, value in numbers(lm).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    assert any(p.is_meta for p in lm.model.parameters())  # what was fetched is let go again


def test_weights_that_are_not_in_memory_are_not_grafted(tmp_path):
    """Else nothing would be changed, and each graft would answer as the liar does."""
    lm = on("some layers on disk", tmp_path)
    with pytest.raises(UserError, match=r"grafts: layer \d is kept on disk or in another mem"):
        weights.changes(lm, tmp_path)


def test_heads_that_are_split_among_processes_are_refused():
    model = tiny.random_model()
    assert model.tp_size is None
    setattr(model, "_tp_size", 2)  # noqa: B010 - its type has no such attribute
    with pytest.raises(UserError, match="splits the heads of a layer among 2 processes"):
        tiny.wrap(model)
