"""NaN and infinity are named by the layer and the prompt at which they come up, and never kept."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from stages.lib import forward
from stages.lib.forward import answers as forward_answers
from stages.lib.forward import memory
from stages.lib.forward.plain import PlainPrompts
from stages.lib.forward.prompts import Prompts
from stages.lib.io import store
from stages.lib.io.cli import UserError
from tests import tiny

N, TAIL, BAD = 6, 4, 3
TEXTS = [f"This is number {i}, and it ends." for i in range(N)]
OTHERS = [f"That is number {i}, and it ends." for i in range(N)]


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    memory._seen.clear()
    return replace(tiny.wrap(tiny.random_model(seed=5)), identity="random 5")


def ids(model, texts):
    return model.tokenizer(texts)["input_ids"]


def captured(model, answers):
    list(forward.capture(model, answers, ids(model, TEXTS), [-1, -2], 99, "test"))


def read(model, answers):
    list(forward_answers.read(model, answers, [ids(model, TEXTS)], "test"))


def patched(model, answers):
    patches = np.zeros((1, model.n_layers, model.n_heads), bool)
    patches[0, 1, 0] = True
    base, source = ids(model, TEXTS), ids(model, OTHERS)
    forward.Patcher(model, answers, base, source, TAIL)(patches, "test")


def plant(model, module, value, prompt=BAD):
    """Let a module give a value that is no number, in the run of one prompt alone."""
    (mark,) = set(ids(model, [TEXTS[prompt]])[0]) - {
        token for i, text in enumerate(TEXTS) if i != prompt for token in ids(model, [text])[0]
    }
    here = []

    def enter(_, args, kwargs):
        here[:] = [kwargs["input_ids"] == mark]

    def spoil(_, args, output):
        x = output[0] if isinstance(output, tuple) else output
        rows = here[0].any(dim=1)
        if len(x) == len(rows):
            x = torch.where(rows[:, None, None], value, x)
        return (x, *output[1:]) if isinstance(output, tuple) else x

    model.decoder.register_forward_pre_hook(enter, with_kwargs=True)
    module.register_forward_hook(spoil)


PLACES = {
    "z of layer 2": lambda model: model.layers[2].self_attn.v_proj,
    "the output of layer 1": lambda model: model.layers[1].mlp,
    "the embedding": lambda model: model.model.get_input_embeddings(),
}


@pytest.mark.parametrize("value", [float("nan"), -float("inf")])
@pytest.mark.parametrize("run", [captured, read, patched])
@pytest.mark.parametrize("place", PLACES)
def test_the_layer_and_the_prompt_are_named_in_one_line(place, run, value, model, answers):
    plant(model, PLACES[place](model), value)  # in none of the two prompts that are looked at first
    with pytest.raises(UserError) as error:
        run(model, answers)
    line = str(error.value)
    assert re.search(rf"{place} is not finite at the prompt '.*{BAD}, and it ends", line), line
    assert "\n" not in line


def test_of_a_model_that_is_broken_throughout_the_first_layer_is_named(model, answers):
    torch.nn.init.constant_(model.layers[2].mlp.down_proj.weight, float("nan"))
    with pytest.raises(UserError, match="the output of layer 2 is not finite at the prompt"):
        captured(model, answers)


@pytest.mark.parametrize("kind", [Prompts, PlainPrompts])
def test_a_patch_that_breaks_a_run_is_named_by_its_layers(kind, model):
    base = kind(model, ids(model, TEXTS), TAIL)
    rows = list(range(N))
    run = base.run(rows, keep=True)
    z = torch.full_like(run.z, torch.finfo(torch.float32).max)
    patches = np.zeros((2, model.n_layers, model.n_heads), bool)
    patches[1, 1:3] = patches[0, 1, 0] = True
    z[1, :, :, 0] = run.z[1, :, :, 0]
    with pytest.raises(UserError, match=r"the run with layers 1 to 2 patched is not finite"):
        base.patched(rows, run, z, patches)


def test_nothing_of_a_run_that_is_no_number_is_kept(model, answers):
    def kept(lm):
        prompts = Prompts(lm, ids(model, TEXTS), 1)
        return store.read(memory.Memory(lm, answers).prompts(prompts))

    read(model, answers)
    assert len(kept(model)) == N
    plant(model, PLACES["z of layer 2"](model), float("nan"))
    changed = replace(model, identity="another")
    with pytest.raises(UserError, match="is not finite"):
        read(changed, answers)
    assert kept(changed) == {}


def test_a_model_of_numbers_is_not_refused(model, answers):
    for run in (captured, read, patched):
        run(model, answers)
