"""What a run gives does not depend on the runs beside it: same bytes alone and in any company."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from stages.lib import forward
from stages.lib.forward import budget, filled
from tests import tiny

TAIL = 5
# Reaches from the end of every prompt into the shared prefix; the stem of the shortest is long.
DEEP_TAIL = 24
N = 14
SIZES = {"vocab_size": 277, "num_hidden_layers": 3, "initializer_range": 0.2}
TINY = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
TINY |= {"num_key_value_heads": 2, "head_dim": 16}
MODELS = {
    # the shapes of the embedded model
    "llama": {"hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9}
    | {"num_key_value_heads": 3},
    "qwen3": TINY,
    "mistral": TINY | {"sliding_window": 12},
    "phi3": TINY | {"pad_token_id": 0, "intermediate_size": 44},
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 4},
}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    torch.manual_seed(0)
    config = AutoConfig.for_model(request.param, **(SIZES | MODELS[request.param]))
    return tiny.wrap(AutoModelForCausalLM.from_config(config).eval())


@pytest.fixture(scope="module", params=[1, 2], ids=["one thread", "two threads"])
def threads(request):
    own = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(own)


def prompts(seed, prefix):
    """Prompts that start with `prefix`: the shortest end in it, the longest are far longer."""
    random = np.random.default_rng(seed)
    return [[*prefix, *random.integers(0, 250, 3 + 2 * i).tolist()] for i in range(N)]


PREFIXES = [np.random.default_rng(seed).integers(0, 250, 21).tolist() for seed in (1, 2)]
IDS = [prompts(seed, prefix) for seed, prefix in enumerate(PREFIXES, 3)]


def patches(model):
    """Single units, whole layers, sets of units in several layers; some first layers in common."""
    heads = np.zeros((6, model.n_layers, model.n_heads), bool)
    heads[0, 0, 1] = heads[1, 1, :] = heads[2, 1, 0] = heads[3, 1, 2] = heads[4, 2, 1] = True
    heads[2, 2, 3] = heads[3, 2, :] = True
    return heads


def patched(model, answers, rows, some, tail=TAIL, at=None):
    """P(true) and P(false) of the base, the source and patched runs of some rows."""
    base, source = ([ids[row] for row in rows] for ids in IDS)
    first, second = PREFIXES
    patcher = forward.Patcher(model, answers, base, source, tail, prefixes=(first, second))
    at = None if at is None else at[list(rows)]
    result = patcher(patches(model)[some], "test", at=at)
    return np.stack([result.base, result.source, *result.patched])


def captured(model, answers, rows, n_rows=99):
    """Activations and readouts of some rows."""
    ids = [IDS[0][row] for row in rows]
    chunks = list(
        forward.capture(model, answers, ids, [-1, -3], n_rows, "test", prefix=PREFIXES[0])
    )
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


@pytest.fixture(scope="module")
def every(model, answers, threads):
    """Patched runs and activations of all rows together."""
    return patched(model, answers, range(N), range(6)), captured(model, answers, range(N))


COMPANIES = {"turned": range(N)[::-1], "one": [6], "shortest": [0], "some": [1, 4, 11]}


@pytest.mark.parametrize("rows", COMPANIES.values(), ids=COMPANIES)
def test_patched_runs_are_the_same_in_any_company(model, answers, every, rows):
    runs, _ = every
    np.testing.assert_array_equal(patched(model, answers, rows, range(6)), runs[:, rows])
    for one in range(6):
        alone = patched(model, answers, rows, [one])[2]
        np.testing.assert_array_equal(alone, runs[2 + one][rows])


def at_shared_positions():
    """Patched positions among the last `DEEP_TAIL`: three different sets in the shared prefix."""
    starts = [len(ids) - DEEP_TAIL for ids in IDS[0]]
    at = np.zeros((N, DEEP_TAIL), bool)
    for row, start in enumerate(starts):
        for position in [(3, 7, 20), (9, 12), ()][row % 3]:
            if position >= start:
                at[row, position - start] = True
    at[::2, -2:] = True
    return at


@pytest.mark.parametrize("at", [None, at_shared_positions()], ids=["everywhere", "some positions"])
@pytest.mark.parametrize("rows", COMPANIES.values(), ids=COMPANIES)
def test_runs_patched_in_the_shared_prefix_are_the_same_in_any_company(
    model, answers, threads, rows, at
):
    runs = patched(model, answers, range(N), range(6), DEEP_TAIL, at)
    np.testing.assert_array_equal(
        patched(model, answers, rows, range(6), DEEP_TAIL, at), runs[:, rows]
    )
    for one in range(6):
        alone = patched(model, answers, rows, [one], DEEP_TAIL, at)[2]
        np.testing.assert_array_equal(alone, runs[2 + one][rows])


@pytest.mark.parametrize("n", [17, 33])
@pytest.mark.parametrize("n_source", [1, 32])
@pytest.mark.parametrize("place", ["everywhere", "own tokens"])
def test_many_prompts_of_one_width_are_the_same_alone(model, answers, threads, n, n_source, place):
    """As many that the last block of a kernel is short; the source may have few tokens of its own."""
    random = np.random.default_rng(n)
    base, source = (
        [[*prefix, *random.integers(0, 250, n_own).tolist()] for _ in range(n)]
        for prefix, n_own in zip(PREFIXES, (16, n_source), strict=True)
    )
    at = np.ones((n, 21 + 16), bool)
    if place == "own tokens":
        at[:, :21] = False

    def runs(rows):
        patcher = forward.Patcher(
            model, answers, [base[row] for row in rows], [source[row] for row in rows],
            21 + 16, key=None, prefixes=(PREFIXES[0], PREFIXES[1]),
        )  # fmt: skip
        result = patcher(patches(model), "test", at=at[list(rows)])
        return np.stack([result.base, result.source, *result.patched])

    together = runs(range(n))
    for row in (0, n // 2, n - 1):
        np.testing.assert_array_equal(runs([row])[:, 0], together[:, row])


@pytest.mark.parametrize("rows", COMPANIES.values(), ids=COMPANIES)
def test_activations_are_the_same_in_any_company(model, answers, every, rows):
    _, activations = every
    for name, result in captured(model, answers, rows).items():
        np.testing.assert_array_equal(result, activations[name][rows], err_msg=name)


def test_memory_and_shards_change_nothing(model, answers, every, monkeypatch):
    runs, activations = every
    monkeypatch.setenv(budget.VARIABLE, "1e-6")
    np.testing.assert_array_equal(patched(model, answers, range(N), range(6)), runs)
    for name, result in captured(model, answers, range(N), n_rows=3).items():
        np.testing.assert_array_equal(result, activations[name], err_msg=name)


def test_a_batch_is_filled_but_no_more(model):
    multiple = filled.multiple(model)
    assert filled.prompts(model, [7], n_tokens=filled.LEAST) == [7] * multiple
    assert filled.prompts(model, [7], n_tokens=1) == [7] * max(multiple, filled.LEAST)
    many = list(range(max(2 * multiple, filled.LEAST)))
    assert filled.prompts(model, many, n_tokens=1) == many
    x = torch.arange(6.0).view(3, 2)
    assert torch.equal(filled.fill_rows(x)[:3], x)
    assert torch.equal(filled.fill_rows(x)[3:], x[-1:].expand(filled.LEAST - 3, 2))
    assert len(filled.fill_rows(torch.zeros(99, 2))) == 99
