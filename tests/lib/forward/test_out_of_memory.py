"""Where memory does not suffice for a batch, its halves are run, and give the same bytes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stages.lib import forward
from stages.lib.forward import answers as forward_answers
from stages.lib.forward import budget, memory
from stages.lib.io import cli, store
from stages.lib.io.cli import UserError
from tests import tiny

N, TAIL, PREFIX = 28, 4, [7, 8, 9]
FITS = 17  # rows; a batch of one token each has no fewer than 16, see `filled`
ERRORS = {
    "of a GPU": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "of a CPU": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 70368744177664 bytes. Error code 12 (Cannot allocate memory)"
    ),
    "of a CPU, in other words": RuntimeError("DefaultCPUAllocator: not enough memory: you tried"),
    "of numpy": MemoryError("Unable to allocate 7.2 GiB for an array"),
    "of cuBLAS": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
}


@pytest.fixture(scope="module")
def model():
    """Prompts of which come in fours: see `filled.multiple`."""
    made = tiny.wrap(tiny.random_model(seed=5, intermediate_size=64))
    return replace(made, identity="random 5")


@pytest.fixture(autouse=True)
def _anew(tmp_path, monkeypatch):
    monkeypatch.setattr(budget, "_halved", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    memory._seen.clear()
    cli.counts.clear()


@pytest.fixture
def small(model):
    """Let a module of the model hold no more than a number of rows."""
    handles, sizes = [], []

    def limit(rows, error, module=model.decoder):
        def refuse(_, args, kwargs):
            if module is model.decoder and "kept" not in kwargs:
                return  # the model's own forward, or its unembedding
            n = len(kwargs["input_ids"] if "input_ids" in kwargs else args[0])
            sizes.append(n)
            if n > rows:
                raise error

        handles.append(module.register_forward_pre_hook(refuse, with_kwargs=True))
        return sizes

    yield limit
    for handle in handles:
        handle.remove()


def ids(seed):
    random = np.random.default_rng(seed)
    return [[*PREFIX, *random.integers(20, 250, 6 + i % 5).tolist()] for i in range(N)]


def patches(model):
    chosen = np.zeros((6, model.n_layers, model.n_heads), bool)
    for i, patch in enumerate(chosen):
        patch[1 + i % 2, i % 4] = True
    return chosen


def captured(model, answers):
    chunks = list(forward.capture(model, answers, ids(1), [-1, -3], 99, "test", prefix=PREFIX))
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def read(model, answers):
    return next(iter(forward_answers.read(model, answers, [ids(1)], "test", [PREFIX])))


def patched(model, answers):
    patcher = forward.Patcher(model, answers, ids(1), ids(2), TAIL, prefixes=(PREFIX, PREFIX))
    return vars(patcher(patches(model), "test"))


def z(model, answers):
    patcher = forward.Patcher(model, answers, ids(1), ids(2), TAIL, prefixes=(PREFIX, PREFIX))
    return {str(i): result.numpy() for i, result in enumerate(patcher.z("test"))}


def estimated(model, answers):
    patcher = forward.Patcher(model, answers, ids(1), ids(2), TAIL, prefixes=(PREFIX, PREFIX))
    return {"effect": patcher.attribution("test")}


RUNS = [captured, read, patched, z, estimated]


@pytest.mark.parametrize("run", RUNS)
def test_a_batch_that_does_not_fit_is_halved_and_gives_the_same_bytes(run, model, answers, small):
    expected = run(model, answers)
    store.clear()
    memory._seen.clear()
    sizes = small(FITS, ERRORS["of a CPU"])
    for name, array in run(model, answers).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)
    over = [size for size in sizes if size > FITS]
    assert over, "nothing was refused"


@pytest.mark.parametrize("name", ERRORS)
def test_whoever_says_that_memory_does_not_suffice(name, model, answers, small):
    expected = read(model, answers)["readout"]
    store.clear()
    small(FITS, ERRORS[name])
    np.testing.assert_array_equal(read(model, answers)["readout"], expected)


def test_later_batches_are_no_larger_than_what_fits(model, answers, small):
    sizes = small(FITS, ERRORS["of a GPU"])
    read(model, answers)
    first = [size for size in sizes if size > FITS]
    store.clear()
    read(model, answers)
    assert first
    assert [size for size in sizes if size > FITS] == first


def test_the_unembedding_is_halved_too(model, answers, small):
    expected = read(model, answers)["readout"]
    store.clear()
    sizes = small(16, ERRORS["of a CPU"], model.model.lm_head)
    np.testing.assert_array_equal(read(model, answers)["readout"], expected)
    assert max(sizes) > 16


def test_what_was_computed_before_is_kept(model, answers, small):
    """No run is counted, or computed, twice by whoever comes next."""
    small(FITS, ERRORS["of a CPU"])
    patched(model, answers)
    n = cli.counts["computed"]
    memory._seen.clear()
    patched(model, answers)
    assert (cli.counts["computed"], cli.counts["remembered"]) == (n, n)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize(
    ("fits", "line"), [(1, "a prompt of 13 tokens"), (2, "prompts of at most 13")]
)
def test_where_nothing_fits_it_is_said_in_one_line(fits, line, run, model, answers, small):
    """Two prompts are looked at first; then the least batch has four."""
    small(fits, ERRORS["of a CPU"])
    with pytest.raises(UserError, match=rf"{line}.* not fit into memory") as error:
        run(replace(model, identity=""), answers)
    assert "\n" not in str(error.value)


def test_another_error_is_no_lack_of_memory(model, answers, small):
    read(model, answers)
    store.clear()
    small(FITS, RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"))
    with pytest.raises(RuntimeError, match="size of tensor"):
        read(model, answers)
    assert budget._halved == 0
