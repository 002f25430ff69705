"""Every peer agrees with Hugging Face at batch 1, so that only speed is compared."""

from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from tests import tiny
from tests.bench import hf

ANSWERS = (list(range(100)), list(range(100, 200)))  # many, so that no probability is small
N_POSITIONS = 4
# file, the tool that it needs, options
PEERS = [
    ("hf", "transformers", {"batch": 1}),
    ("hf", "transformers", {"batch": 32}),
    ("prefix", "transformers", {}),
    ("lens", "transformer_lens", {}),
    ("nnsight_peer", "nnsight", {}),
    ("pyvene_peer", "pyvene", {}),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tiny.save(tiny.random_model(), folder)
    return folder


@pytest.fixture(scope="module")
def prompts() -> dict[str, list[list[int]]]:
    """Prompts of two personas: each starts with its persona's own tokens, then differs in length."""
    random = np.random.default_rng(0)

    def draw(n: int) -> list[int]:
        return random.integers(10, 200, n).tolist()

    starts = {"base": draw(12), "source": draw(20)}
    return {
        name: [start + draw(n) for n in (9, 6, 13, 9, 7, 4, 10)] for name, start in starts.items()
    }


@pytest.fixture(scope="module")
def patches() -> np.ndarray:
    """No head, all heads of two layers, single heads, and heads of two layers that are apart."""
    patches = np.zeros((6, 4, 4), bool)
    patches[1, :2] = patches[2, 2:] = True
    patches[3, 0, 3] = patches[4, 3, 1] = patches[5, 0, 1] = patches[5, 2, 2] = True
    return patches


@pytest.fixture(scope="module")
def expected(folder, prompts, patches) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return results(hf.Peer(folder, ANSWERS, batch=1), prompts, patches)


def results(peer, prompts, patches) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    z, readout = peer.cache(prompts["base"])
    source = peer.source(prompts["source"], N_POSITIONS)
    return z, readout, peer.patched(prompts["base"], source, patches)


@pytest.mark.parametrize(("file", "tool", "options"), PEERS)
def test_peer_agrees_with_batch_1(file, tool, options, folder, prompts, patches, expected):
    pytest.importorskip(tool)
    peer = import_module(f"tests.bench.{file}").Peer(folder, ANSWERS, **options)

    result = results(peer, prompts, patches)

    for ours, theirs in zip(result, expected, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)


def test_every_patch_changes_every_readout(expected):
    _, unpatched, patched = expected

    changes = np.abs(patched - unpatched).max(-1)

    assert changes[0].max() < 1e-6
    assert changes[1:].min() > 1e-3


def test_batch_1_agrees_with_heads_written_one_by_one(folder, prompts, patches, expected):
    """Written without the code that peers share: no batches, no padding, no views."""
    model = tiny.random_model()

    def run(ids: list[int], source: list[int], patch: np.ndarray) -> tuple[np.ndarray, list[float]]:
        theirs, z = record(source), np.zeros((4, 4, 16))
        handles = []
        for layer in range(4):

            def write(_, args, layer=layer):
                own = args[0].clone()
                for head in range(4):
                    columns = slice(16 * head, 16 * head + 16)
                    if patch[layer, head]:
                        for position in range(1, N_POSITIONS + 1):
                            own[0, -position, columns] = theirs[layer][0, -position, columns]
                    z[layer, head] = own[0, -1, columns]
                return (own,)

            projection = cast(Any, model.model.layers[layer]).self_attn.o_proj
            handles.append(projection.register_forward_pre_hook(write))
        p = model(torch.tensor([ids])).logits[0, -1].softmax(-1)
        for handle in handles:
            handle.remove()
        return z, [sum(float(p[i]) for i in answer) for answer in ANSWERS]

    def record(ids: list[int]) -> list[torch.Tensor]:
        z = []
        handles = [
            layer.self_attn.o_proj.register_forward_pre_hook(lambda _, args: z.append(args[0]))
            for layer in cast(Any, model).model.layers
        ]
        model(torch.tensor([ids]))
        for handle in handles:
            handle.remove()
        return z

    with torch.no_grad():
        result = [
            [run(*both, patch) for both in zip(prompts["base"], prompts["source"], strict=True)]
            for patch in patches
        ]

    np.testing.assert_allclose([z for z, _ in result[0]], expected[0], atol=1e-5)
    np.testing.assert_allclose([z_p[1] for z_p in result[0]], expected[1], atol=1e-5)
    np.testing.assert_allclose([[p for _, p in row] for row in result], expected[2], atol=1e-5)
