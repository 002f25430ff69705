"""What a GPU gives: exactness, rounding, and speed against plain forwards with hooks.

python -m tests.bench.gpu --out tests/bench
"""

import argparse
import gc
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import transformers
from transformers import AutoModelForCausalLM, LlamaConfig

from tests.bench import common, jobs, ours, peers, rounding

CONTENDERS = {  # name -> file, options; the first is what the others are compared with
    "ours": ("ours", {}),
    "hf_1": ("hf", {"batch": 1}),
    "hf_16": ("hf", {"batch": 16}),
    "hf_32": ("hf", {"batch": 32}),
    "hf_64": ("hf", {"batch": 64}),
    "hf_128": ("hf", {"batch": 128}),
    "hf_256": ("hf", {"batch": 256}),
    "hf_prefix_32": ("prefix", {"batch": 32}),
    "hf_prefix_128": ("prefix", {"batch": 128}),
    "hf_prefix_256": ("prefix", {"batch": 256}),
}
ONCE = ("hf_1",)  # slow, and in the first round alone
TASKS = ("cache", "window", "heads")
N_STATEMENTS, N_LARGE, N_KNOWN = 64, 16, 32
ROUNDS = 3
DTYPES = (torch.float32, torch.bfloat16)
LARGE = 40e9  # bytes of GPU memory for a model of 7 billion weights in bfloat16


def main(model: Path, data: Path, out: Path) -> None:
    """Measure everything, and write what there is after each part."""
    if not torch.cuda.is_available():
        raise SystemExit("no GPU that torch can use was found, expected one")
    result: dict[str, Any] = machine()
    for part, rows in parts("cuda", model, data):
        for row in rows:
            result.setdefault(part, []).append(row)
            print(part, json.dumps(row), flush=True)
            (out / "gpu.json").write_text(json.dumps(result, indent=1) + "\n")
    print("\n".join(tables(result["speed"])))


def machine() -> dict[str, Any]:
    """Name what computes, and how it multiplies float32."""
    return {
        "device": torch.cuda.get_device_name(),
        "memory_gb": round(torch.cuda.get_device_properties(0).total_memory / 1e9, 1),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "tf32": torch.backends.cuda.matmul.allow_tf32,
    }


def parts(device: str, model: Path, data: Path) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """The parts of what is measured, one after the other: a name, and its rows."""
    yield "exactness", exactness(device)
    known, labels = jobs.known(model, data / "pairs.parquet", N_KNOWN)
    yield "company", company(device, model, known)
    yield "dtypes", rounding.dtypes(model, known, labels, device)
    for long in (False, True):
        job = jobs.make(model, data / "statements.parquet", long, N_STATEMENTS)
        for dtype in DTYPES:
            yield "speed", speed(common.load(model, device, dtype), job, ROUNDS, "135M", long)
    if torch.cuda.is_available() and torch.cuda.mem_get_info()[0] > LARGE:
        large = random_llama(device, torch.bfloat16)
        for long in (False, True):
            job = fitted(jobs.make(model, data / "statements.parquet", long, N_LARGE), large)
            yield "speed", speed(large, job, ROUNDS, "7B", long)


def exactness(device: str) -> Iterator[dict[str, Any]]:
    """The shortcut against plain forwards, tiny models of some architectures."""
    for dtype in DTYPES:
        for name in rounding.ARCHITECTURES:
            yield {"dtype": _name(dtype)} | rounding.exactness(name, device, dtype)


def company(device: str, model: Path, job: jobs.Job) -> Iterator[dict[str, Any]]:
    """The same runs in other batches, of tiny models and of `model`."""
    some = job.windows[::5]
    for dtype in DTYPES:
        for name in rounding.ARCHITECTURES:
            peer = ours.Peer(rounding.tiny_model(name, device, dtype), rounding.ANSWERS)
            given = rounding.tiny_prompts(), rounding.tiny_patches(peer), rounding.TAIL
            row = {"dtype": _name(dtype), "model": f"tiny {name}"}
            yield row | rounding.company(peer, *given)
        peer = ours.Peer(common.load(model, device, dtype), job.answers)
        given = (job.base, job.source), some, jobs.N_POSITIONS
        yield {"dtype": _name(dtype), "model": "135M"} | rounding.company(peer, *given)


@torch.no_grad()
def random_llama(device: str, dtype: torch.dtype, **changes: Any) -> Any:
    """Make a model with the sizes of Llama-2-7B, transformers' defaults, and random weights."""
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(
            LlamaConfig(**changes), dtype=dtype, attn_implementation="sdpa"
        )
    return model.eval()


def fitted(job: jobs.Job, model: Any) -> jobs.Job:
    """The same prompts for a model of another vocabulary and other sizes: token ids wrap around."""
    n = model.config.vocab_size
    base, source, answers = (
        [[token % n for token in row] for row in rows]
        for rows in (job.base, job.source, job.answers)
    )
    of = jobs.patches(model.config.num_hidden_layers, model.config.num_attention_heads)
    return jobs.Job(base, source, *of, (answers[0], answers[1]))


def speed(
    model: Any, job: jobs.Job, rounds: int, size: str, long: bool, names: Any = tuple(CONTENDERS)
) -> Iterator[dict[str, Any]]:
    """Time all contenders in interleaved rounds, after one that warms up."""
    about = {"model": size, "dtype": _name(model.dtype), "long": long, "statements": len(job.base)}
    gc.collect()  # whatever an earlier part left would count as memory
    modules = {name: import_module(f"tests.bench.{CONTENDERS[name][0]}") for name in names}
    contenders = {
        name: modules[name].Peer(model, job.answers, **CONTENDERS[name][1]) for name in names
    }
    for name in contenders.keys() - ONCE:
        peers.measure(contenders[name], job, "window")
    for number in range(rounds):
        for task in TASKS:
            expected = None
            for name, peer in contenders.items():
                if name in ONCE and number:
                    continue
                result, readouts = _measured(peer, job, task)
                expected = readouts if expected is None else expected
                row = {"round": number, "task": task, "contender": name}
                yield about | row | result | differences(readouts, expected)


def _measured(peer: Any, job: jobs.Job, task: str) -> tuple[dict[str, Any], np.ndarray]:
    """As `peers.measure`, with the GPU's peak memory, weights included, in MB."""
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
    result, readouts = peers.measure(peer, job, task)
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else 0
    return result | {"peak_mb": round(peak / 1e6)}, readouts


def differences(result: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Largest difference in probability and in its logarithm, on the runs that were made."""
    made = np.isfinite(result)
    logs = np.log(result[made]) - np.log(expected[made])
    return {
        "difference": rounding.largest(result[made], expected[made]),
        "log_difference": float(np.abs(logs).max()),
    }


def tables(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Medians over rounds as Markdown: one table for each model, dtype and length of prompts."""
    every = pl.DataFrame(rows).with_columns(rate=pl.col("units") / pl.col("seconds"))
    for key, some in every.group_by("model", "dtype", "long", maintain_order=True):
        yield f"\n{key[0]}, {key[1]}, {'long' if key[2] else 'default'} prompts\n"
        yield "| | CACHE, statements/s | WINDOW, runs/s | HEADS, runs/s | peak memory, MB |"
        yield "|" + 5 * "---|"
        for name in some["contender"].unique(maintain_order=True):
            own = some.filter(pl.col("contender") == name)
            rates = [own.filter(pl.col("task") == task)["rate"].median() for task in TASKS]
            cells = [f"{rate:.3g}" for rate in rates]
            yield f"| {name} | {' | '.join(cells)} | {own['peak_mb'].max()} |"


def _name(dtype: torch.dtype) -> str:
    """A dtype's name."""
    return str(dtype).removeprefix("torch.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("data/model"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=Path("tests/bench"))
    main(**vars(parser.parse_args()))
