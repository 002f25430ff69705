"""How far probabilities move with the shortcut, the rows of a batch, the device and the dtype."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from stages.lib.forward import budget
from stages.lib.patching import layer_window, patch
from stages.lib.patching.layer_window import Window
from tests import tiny
from tests.bench import common, hf, jobs, ours

ARCHITECTURES = ("llama", "mistral", "qwen3", "gemma2", "granite", "phi3", "gpt_neox", "gpt2")
ANSWERS = (list(range(100)), list(range(100, 200)))  # of tiny models: many, so that none is small
TAIL = 5
TINY_MEMORY = "1e-6"  # GB: one patch in a batch
Prompts = tuple[list[list[int]], list[list[int]]]


def tiny_model(architecture: str, device: str, dtype: torch.dtype) -> Any:
    """Make a tiny random model."""
    of: Any = tiny.random_model() if architecture == "llama" else tiny.of(architecture).model
    return of.to(device, dtype)


def tiny_prompts(n: int = 5) -> Prompts:
    """Prompts of two personas, of different lengths, which start with their persona's tokens."""
    random = np.random.default_rng(0)

    def draw(n: int) -> list[int]:
        return random.integers(0, 250, n).tolist()

    starts = draw(30), draw(25)
    base, source = ([start + draw(6 + 3 * i) for i in range(n)] for start in starts)
    return base, source


def tiny_patches(peer: ours.Peer) -> np.ndarray:
    """All windows of two layers, and each head of its own: (n_patches, n_layers, n_heads)."""
    n_layers, n_heads = peer.lm.n_layers, peer.lm.n_heads
    heads = np.eye(n_layers * n_heads, dtype=bool).reshape(-1, n_layers, n_heads)
    windows = [heads[i * n_heads : (i + 2) * n_heads].any(0) for i in range(n_layers - 1)]
    return np.stack([*windows, *heads])


def exactness(architecture: str, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """The shortcut and plain forwards of a tiny model: largest differences in probability.

    `rounding` is that of the dtype: plain forwards in it, and in float32.
    """
    p = {}
    for kind, shortcut in ((dtype, True), (dtype, False), (torch.float32, False)):
        peer = ours.Peer(tiny_model(architecture, device, kind), ANSWERS)
        patcher = peer.patcher(*tiny_prompts(), TAIL, shortcut=shortcut)
        p[kind, shortcut] = peer.patched(patcher, tiny_patches(peer))
    plain = p[dtype, False]
    return {
        "architecture": architecture,
        "difference": largest(p[dtype, True], plain),
        "rounding": largest(plain, p[torch.float32, False]),
    }


def company(peer: ours.Peer, prompts: Prompts, patches: np.ndarray, tail: int) -> dict[str, Any]:
    """Runs of the same prompts and patches in other batches: largest differences in probability."""
    starts = tuple(list(common.start(some)) for some in prompts)
    n = len(prompts[0])

    def run(rows: list[int], some: np.ndarray = patches) -> np.ndarray:
        base, source = ([of[row] for row in rows] for of in prompts)
        result = peer.patcher(base, source, tail, starts)(some, "")
        return np.stack([result.base, result.source, *result.patched])

    every, turned = run([*range(n)]), [*range(n)][::-1]
    alone = np.concatenate([run([row]) for row in range(n)], axis=1)
    single = np.stack([run([*range(n)], patch[None])[2] for patch in patches])
    with mock.patch.dict(os.environ, {budget.VARIABLE: TINY_MEMORY}):
        small = run([*range(n)])
    return {
        "again": largest(run([*range(n)]), every),
        "other order": largest(run(turned), every[:, turned]),
        "one prompt a batch": largest(alone, every),
        "one patch a batch": largest(single, every[2:]),
        "tiny memory": largest(small, every),
    }


def dtypes(
    model: Path, job: jobs.Job, labels: np.ndarray, device: str, reference: str = "cpu"
) -> Iterator[dict[str, Any]]:
    """Windows in each dtype, by the shortcut and by hooks: how they differ from float32 on a CPU."""
    kinds = [(reference, torch.float32)]
    kinds += [(device, kind) for kind in (torch.float32, torch.bfloat16, torch.float16)]
    expected = None
    for where, kind in kinds:
        loaded = common.load(model, where, kind)
        for name in ("ours", "hf_32") if expected is not None else ("ours",):
            p = _windows(name, loaded, job)
            expected = p if expected is None else expected
            row = {"contender": name, "device": where, "dtype": str(kind).removeprefix("torch.")}
            yield row | compare(p, expected, labels)


def head_sets(
    model: Path, job: jobs.Job, labels: np.ndarray, device: str, window: int
) -> Iterator[dict[str, Any]]:
    """Heads that are chosen in each dtype, beside those that float32 chooses.

    `window` is the first layer of that in which a set is searched for, as by stage `heads`.
    """
    expected: dict[str, Any] = {}
    layers = Window(window, window + jobs.WINDOW - 1)
    for kind in (torch.float32, torch.bfloat16, torch.float16):
        peer = ours.Peer(common.load(model, device, kind), job.answers)
        patcher = peer.patcher(job.base, job.source, jobs.N_POSITIONS)
        effects = patcher.attribution("") * np.where(labels, 1, -1)[:, None, None]
        order = np.argsort(-effects.mean(axis=0), axis=None)
        every = layer_window.heads(layers, peer.lm.n_heads)
        result = {
            "estimate": order[: patch.n_top(order.size)].tolist(),
            "search": _searched(patcher, every, labels),
        }
        expected = expected or result
        yield {
            "dtype": str(kind).removeprefix("torch."),
            "largest_effect": largest(effects, 0 * effects),
            **{name: len(heads) for name, heads in result.items()},
            **{f"{name}_shared": len({*result[name]} & {*expected[name]}) for name in result},
        }


def _searched(patcher: Any, heads: list[patch.Head], labels: np.ndarray) -> list[patch.Head]:
    """The smallest set of some heads, found greedily, that keeps 0.95 of what they do."""

    def score(sets: list[list[patch.Head]]) -> list[float]:
        units = patch.of_heads(sets, patcher.lm.n_layers, patcher.lm.n_heads)
        return [patch.mean_p_correct(p, labels) for p in patcher(units, "").patched]

    empty, whole = score([[], heads])
    steps = patch.greedy(score, heads, empty, empty + 0.95 * (whole - empty))
    return [step.head for step in steps if step.head is not None]


def _windows(name: str, loaded: Any, job: jobs.Job) -> np.ndarray:
    """P(true) and P(false) of all windows: (n_windows, n_prompts, 2)."""
    if name == "ours":
        peer = ours.Peer(loaded, job.answers)
        return peer.patched(peer.patcher(job.base, job.source, jobs.N_POSITIONS), job.windows)
    peer = hf.Peer(loaded, job.answers, 32)
    return peer.patched(job.base, peer.source(job.source, jobs.N_POSITIONS), job.windows)


def compare(p: np.ndarray, expected: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """What became of the answers, (n_windows, n_prompts, 2), where `expected` was right."""
    says, said = (x[..., 0] > x[..., 1] for x in (p, expected))
    accuracy, was = ((x == labels).mean(1) for x in (says, said))
    correct, before = (np.where(labels, x[..., 0], x[..., 1]).mean(1) for x in (p, expected))
    return {
        "runs": says.size,
        "difference": largest(p[..., 0], expected[..., 0]),
        "mean_difference": float(np.abs(p - expected)[..., 0].mean()),
        "changed_answers": int((says != said).sum()),
        "best_window": int(correct.argmax()),
        "best_accuracy": float(accuracy[correct.argmax()]),
        "accuracy_difference": largest(accuracy, was),
        "p_correct_difference": largest(correct, before),
    }


def largest(result: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference."""
    return float(np.abs(result - expected).max())
