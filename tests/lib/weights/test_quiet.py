"""Nothing of the libraries' own is on the terminal while weights are unpacked or merged."""

import warnings
from typing import Any

import peft
import pytest
from transformers import modeling_gguf_pytorch_utils

from stages.lib.weights import adapter
from stages.lib.weights.quiet import quiet
from tests import tiny

gguf: Any = modeling_gguf_pytorch_utils


@pytest.fixture
def folder(tmp_path):
    """An adapter of a tiny model."""
    config = peft.LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM")
    peft.get_peft_model(tiny.planted_model(), config).save_pretrained(str(tmp_path))
    return tmp_path


def test_merging_warns_of_nothing(folder):
    with warnings.catch_warnings(record=True) as loud:
        warnings.simplefilter("always")
        peft.PeftModel.from_pretrained(tiny.planted_model(), str(folder))
    with warnings.catch_warnings(record=True) as silent:
        warnings.simplefilter("always")
        adapter.merge(tiny.planted_model(), folder)
    assert {warning.category for warning in loud} == {FutureWarning}  # else there is nothing to do
    assert silent == []


def test_the_bar_of_gguf_tensors_is_back_afterwards(capsys):
    with quiet():
        assert list(gguf.tqdm([1, 2])) == [1, 2]
    assert capsys.readouterr().err == ""
    list(gguf.tqdm([1, 2]))
    assert "2/2" in capsys.readouterr().err
