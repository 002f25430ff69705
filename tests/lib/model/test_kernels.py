"""A dtype that kills the process is a line, and not a dead stage."""

import pytest
import torch

from stages.lib.io import tables
from stages.lib.io.cli import UserError
from stages.lib.model import kernels, lm
from stages.lib.model.pretrained.files import hashes
from tests import tiny

DIES = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"
FAILS = "import sys; sys.exit('RuntimeError: \"addmm\" not implemented for Half')"
REFUSED = "params.yaml: model.dtype: found bfloat16, which this CPU cannot compute "


@pytest.mark.parametrize(
    ("work", "how"),
    [
        (DIES, "(a trial was killed by SIGILL); expected float32"),
        (FAILS, '(a trial failed: RuntimeError: "addmm" not implemented for Half); expected'),
    ],
)
def test_a_trial_that_dies_or_fails_is_one_line(work, how, monkeypatch):
    monkeypatch.setattr(kernels, "WORK", work)
    with pytest.raises(UserError) as refused:
        kernels.require("bfloat16")
    assert str(refused.value).startswith(REFUSED + how)
    assert "\n" not in str(refused.value)


def test_a_model_of_such_a_dtype_is_not_loaded(tmp_path, monkeypatch):
    """The manifest may come from another machine, where it did compute."""
    monkeypatch.setattr(kernels, "WORK", DIES)
    tiny.save(tiny.random_model(), tmp_path)
    manifest = {"kind": "folder", "source": str(tmp_path), "files": hashes(tmp_path)}
    for dtype in ("float32", "bfloat16"):
        tables.write_json(tmp_path / lm.MANIFEST, manifest | {"identity": "x", "dtype": dtype})
        loaded = lm.load(tmp_path)
        if dtype == "float32":
            assert len(loaded.layers) == 4
        else:
            with pytest.raises(UserError, match="killed by SIGILL"):
                _ = loaded.layers


def test_neither_float32_nor_a_gpu_is_tried(monkeypatch):
    monkeypatch.setattr(kernels, "WORK", DIES)
    kernels.require("float32")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    kernels.require("bfloat16")


def test_what_is_tried_runs_in_float32_too(monkeypatch):
    """So a trial fails for its dtype alone; in this process, as a child takes seconds."""
    monkeypatch.setattr("sys.argv", ["-c", "float32"])
    exec(kernels.WORK, {})
