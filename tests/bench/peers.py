"""Time this project's forward pass and its peers on the same jobs, in interleaved rounds.

Each contender has a process of its own, and one at a time works. A peer's cost does not depend on
where a patch writes, so peers are timed on some of the patched runs, with their share of the source
run (whose operations are not counted), and this project on all of them. Every contender's readouts
are compared with those of plain forwards, one at a time.

    python -m tests.bench.peers
"""

import argparse
import json
import math
import multiprocessing
import resource
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from stages.lib.forward import linear
from tests.bench import common, jobs

CONTENDERS = {  # name -> file, options
    "hf_1": ("hf", {"batch": 1}),
    "hf_16": ("hf", {"batch": 16}),
    "hf_32": ("hf", {"batch": 32}),
    "transformer_lens": ("lens", {}),
    "nnsight": ("nnsight_peer", {}),
    "pyvene": ("pyvene_peer", {}),
    "hf_prefix": ("prefix", {}),
    "ours": ("ours", {}),
}
TASKS = ("cache", "window", "heads", "select")
N_SAMPLES = 2  # stretches of 32 runs, or of a larger batch, for peers
AGREE = 1e-4  # in probability


def main(model: Path, statements: Path, out: Path, rounds: int, long: bool) -> None:
    """Run all contenders, check that they agree, write the numbers."""
    job = jobs.make(model, statements, long)
    context = multiprocessing.get_context("spawn")
    workers = {}
    for name in CONTENDERS:
        mine, theirs = context.Pipe()
        context.Process(target=_work, args=(name, model, job, theirs), daemon=True).start()
        workers[name] = mine
        print(name, mine.recv(), flush=True)
    rows, expected = [], {}
    for number in range(rounds):
        for task in TASKS:
            for name, worker in workers.items():
                if task == "select" and name != "ours":
                    continue
                rest = {"round": number, "task": task, "contender": name, "peak": _peak()}
                worker.send((task, False))
                result, readouts = worker.recv()
                expected.setdefault(task, readouts)  # those of hf_1, the first
                if task != "select":
                    rest["difference"] = _difference(readouts, expected[task])
                    if not rest["difference"] < AGREE:
                        raise SystemExit(f"{name}: {task}: differs by {rest['difference']}")
                rows.append(rest | result)
                print(json.dumps(rows[-1]), flush=True)
    _count(rows, workers)
    for worker in workers.values():
        worker.send(None)
    name = "long" if long else "default"
    pl.DataFrame(rows, infer_schema_length=None).write_json(out / f"{name}.json")


def _count(rows: list[dict[str, Any]], workers: dict[str, Any]) -> None:
    """Count operations once for each task and contender: last, as counting takes memory."""
    for row in rows:
        if row["round"] == 0:
            workers[row["contender"]].send((row["task"], True))
            row["gflop"] = workers[row["contender"]].recv()


def _work(name: str, model: Path, job: jobs.Job, pipe: Any) -> None:
    """One contender's process: wait for a task, do it, say how long it took."""
    file, options = CONTENDERS[name]
    peer = import_module(f"tests.bench.{file}").Peer(model, job.answers, **options)
    pipe.send("ready")
    while (command := pipe.recv()) is not None:
        task, count = command
        if count:
            pipe.send(_gflop(_prepared(peer, job, task)[1]))
            continue
        result, readouts = measure(peer, job, task)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        pipe.send((result | {"rss_mb": memory}, readouts))


def measure(peer: Any, job: jobs.Job, task: str) -> tuple[dict[str, Any], np.ndarray]:
    """Do a task, or a peer's part of it: its seconds and units, and readouts, NaN elsewhere.

    What all patched runs have in common, a peer does once: it is counted by the part that is done.
    """
    before, work = _prepared(peer, job, task)
    readouts, seconds = common.timed(work)
    there = np.isfinite(readouts[..., 0])
    units = int(there.sum()) // (2 if task == "cache" else 1)
    return {"seconds": before * float(there.mean()) + seconds, "units": units}, readouts


def _prepared(peer: Any, job: jobs.Job, task: str) -> tuple[float, Callable[[], np.ndarray]]:
    """Seconds spent before, and the work: this project's is all patches, a peer's some of them."""
    prompts = (job.base, job.source, jobs.N_POSITIONS)
    if task == "cache":
        return 0.0, lambda: np.stack([peer.cache(p)[1] for p in (job.base, job.source)])
    if not isinstance(peer, common.Peer):
        run = peer.select if task == "select" else peer.patched
        return 0.0, lambda: run(peer.patcher(*prompts), job.patches(task))

    def once() -> Any:
        """What all patches have in common: the source run, and a prefix if the peer keeps one."""
        z = peer.source(job.source, jobs.N_POSITIONS)
        peer.prepare(job.base, jobs.N_POSITIONS)
        return z

    z, seconds = common.timed(once)
    return seconds, lambda: peer.patched(job.base, z, job.patches(task), N_SAMPLES)


def _difference(result: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference of readouts, where something is expected; NaN if something is missing."""
    there = np.isfinite(expected)
    return float(np.abs(result[there] - expected[there]).max())


def _gflop(work: Callable[[], Any]) -> float:
    """Count the operations of matrix products, those of oneDNN and in torch's attention too."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # torch leaves them out
    also: dict[Any, Any] = {attention: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v)}
    also[linear.ONEDNN] = lambda x, weight, *_, **__: 2 * math.prod(x) * weight[0]
    with FlopCounterMode(display=False, custom_mapping=also) as counter:
        work()
    return counter.get_total_flops() / 1e9


def _peak() -> float:
    """Matrix product of two 2048 x 2048 matrices in float32, the best of some: GFLOP/s."""
    import torch

    a = torch.randn(2048, 2048)
    products = (lambda: a @ a, lambda: linear.ONEDNN(a, a, None, "none", [], ""))
    best = min(common.timed(product)[1] for product in products for _ in range(5))
    return 2 * 2048**3 / best / 1e9


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("data/model"))
    parser.add_argument("--statements", type=Path, default=Path("data/statements.parquet"))
    parser.add_argument("--out", type=Path, default=Path("tests/bench"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long", action="store_true", help="a long system prompt")
    main(**vars(parser.parse_args()))
