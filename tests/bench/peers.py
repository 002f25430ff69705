"""Time this project's forward pass and its peers on the same jobs, in interleaved rounds.

Each contender has a process of its own, and one at a time works. A peer's cost does not depend on
where a patch writes, so peers are timed on a few patches drawn evenly and this project on all of
them; the peers' source runs are not counted, this project's are. Every contender's readouts are
compared with those of plain forwards, one at a time.

    python -m tests.bench.peers --model data/model --statements data/statements.parquet \
        --out tests/bench
"""

import argparse
import json
import multiprocessing
import resource
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tests.bench import jobs

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
N_PATCHES = 4  # for peers
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
                worker.send((task, number == 0))
                found, readouts = worker.recv()
                expected.setdefault(task, readouts)  # those of hf_1, the first
                difference = float(np.abs(readouts - expected[task]).max())
                if task != "select" and not difference < AGREE:
                    raise SystemExit(f"{name}: {task}: readouts differ by {difference}")
                rows.append(rest | found | {"difference": difference})
                print(json.dumps(rows[-1]), flush=True)
    for worker in workers.values():
        worker.send(None)
    name = "long" if long else "default"
    pl.DataFrame(rows, infer_schema_length=None).write_json(out / f"{name}.json")


def _work(name: str, model: Path, job: jobs.Job, pipe: Any) -> None:
    """One contender's process: wait for a task, do it, say how long it took."""
    file, options = CONTENDERS[name]
    module = import_module(f"tests.bench.{file}")
    peer = module.Peer(model, job.answers, **options)
    ours = name == "ours"
    if ours:
        prepared = peer.prepare(job.base, job.source, jobs.N_POSITIONS)
    else:
        prepared = peer.source(job.source, jobs.N_POSITIONS)
    pipe.send("ready")
    while (command := pipe.recv()) is not None:
        task, count = command
        patches = job.windows if task == "window" else job.heads
        few = np.linspace(0, len(patches) - 1, N_PATCHES).astype(int)

        def work(task: str = task, patches: np.ndarray = patches, few: np.ndarray = few) -> Any:
            if task == "cache":
                return np.stack([peer.cache(ids)[1] for ids in (job.base, job.source)])
            if task == "select":
                return peer.select(prepared, patches)
            if ours:
                return peer.patched(prepared, patches)
            return peer.patched(job.base, prepared, patches[few])

        start = time.perf_counter()
        readouts = work()
        seconds = time.perf_counter() - start
        whole = ours and task in ("window", "heads")
        n = 1 if task == "cache" else len(patches) if ours else N_PATCHES
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        found = {"seconds": seconds, "units": n * len(job.base), "rss_mb": memory}
        found["gflop"] = _gflop(work) if count else None
        pipe.send((found, readouts[few] if whole else readouts))


def _gflop(work: Any) -> float:
    """Count the operations of matrix products."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / 1e9


def _peak() -> float:
    """Matrix product of two 2048 x 2048 matrices in float32, the best of some: GFLOP/s."""
    import torch

    a = torch.randn(2048, 2048)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * 2048**3 / best / 1e9


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("data/model"))
    parser.add_argument("--statements", type=Path, default=Path("data/statements.parquet"))
    parser.add_argument("--out", type=Path, default=Path("tests/bench"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long", action="store_true", help="a long system prompt")
    main(**vars(parser.parse_args()))
