"""Cache of the answers of earlier runs, by any stage, experiment or process.

A run is a function of the model, its prompts and its patch; see `prompts` for why its result does
not depend on the other runs of its batch. So each run is computed once, and its answers are kept in
the store under a hash of everything that they depend on. On GPUs a kernel is chosen by the shape of
the whole batch: there a remembered answer may differ in the last bits from a recomputed one.
"""

import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stages.lib.forward import batches
from stages.lib.forward.prompts import Prompts
from stages.lib.io import cli, store
from stages.lib.model import lm as language_model
from stages.lib.model.lm import LanguageModel
from stages.lib.model.readout import Answers

CPUINFO = Path("/proc/cpuinfo")
# Lines of `CPUINFO` that tell processors apart, on x86 and on ARM. Clock rates change all the time.
FACTS = {
    *("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "cache size"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features"),
}
READ = 3  # values per run: log P(true), log P(false), the id of the most likely token
PACKAGES = ("numpy", "torch", "transformers")
CODE = (Path(__file__).parent, Path(language_model.__file__).parent)  # the code that computes runs
# Kinds of runs; all other runs are named by their prompt alone.
BASE, PATCHED = b"base", b"patched"

_seen: set[bytes] = set()  # runs that this process has looked up


class Memory:
    """Remembered answers of one model's runs.

    Parameters
    ----------
    lm : LanguageModel
        The model. If its identity is empty, as without a manifest, nothing is remembered.
    answers : Answers
        Tokens of the readout.
    """

    def __init__(self, lm: LanguageModel, answers: Answers) -> None:
        words = {"true": answers.true_ids, "false": answers.false_ids}
        self._facts = key(lm, words)

    def prompts(self, prompts: Prompts) -> list[bytes]:
        """Return a name per prompt: a hash of the prompt and of how it is run."""
        setup = f"{type(prompts).__name__} {prompts.n_tail} {prompts.site.name}".encode()
        prefix = _tokens(prompts.prefix)
        return [store.digest(self._facts, setup, prefix, _tokens(ids)) for ids in prompts.token_ids]

    def recall(self, keys: list[list[bytes]]) -> np.ndarray:
        """Look up runs; every process gets what the main process finds.

        Parameters
        ----------
        keys : list of list of bytes
            Names of runs; all lists have the same length.

        Returns
        -------
        ndarray of shape (n_lists, n_keys, 3), float32
            log P(true), log P(false) and the most likely token's id; NaN for unknown runs.
        """
        values = np.full((len(keys), len(keys[0]), READ), np.nan, np.float32)
        if not self._facts:
            return values
        flat, all_keys = values.reshape(-1, READ), [key for row in keys for key in row]
        known = batches.from_main_process(lambda: store.read(all_keys))
        for i, key in enumerate(all_keys):
            if key in known:
                flat[i] = np.frombuffer(known[key], np.float32)
        missing_keys = {key for key in all_keys if key not in known}
        self.count(computed=len(missing_keys), remembered=len({*all_keys} - missing_keys - _seen))
        _seen.update(all_keys)
        return values

    def count(self, computed: int, remembered: int = 0) -> None:
        """Count computed and remembered runs, to be printed when the stage ends."""
        if self._facts:
            cli.counts.update(remembered=remembered, computed=computed)

    def keep(self, keys: Sequence[bytes], values: np.ndarray) -> None:
        """Store runs: their names, and their values as from `recall`, (n_runs, 3), float32."""
        if self._facts:
            rows = zip(keys, np.ascontiguousarray(values, np.float32), strict=True)
            store.write({key: row.tobytes() for key, row in rows})


def key(lm: LanguageModel, facts: dict[str, Any]) -> bytes:
    """Hash the model, the code, the machine and `facts`; b"" for a model without an identity."""
    return store.key(_facts(lm) | facts) if lm.identity else b""


def _facts(lm: LanguageModel) -> dict[str, Any]:
    """Return what all runs of a process depend on."""
    return {"model": lm.identity, "dtype": lm.dtype, "code": _code(), "machine": _machine()} | {
        package: version(package) for package in PACKAGES
    }


@cache
def _code() -> str:
    """Hash the code that runs the model."""
    return store.code(*CODE)


def _machine() -> list[str | int]:
    """Name the hardware and settings on which rounding may depend."""
    if torch.cuda.is_available():
        return ["cuda", torch.cuda.get_device_name()]
    capability, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    return ["cpu", *_processor(), capability, threads]


def _processor() -> list[str]:
    """Say by what libraries choose their kernels.

    The name alone does not tell: virtual machines on different hosts have one and the same.
    """
    if not CPUINFO.exists():
        return [platform.processor()]
    first = CPUINFO.read_text().split("\n\n")[0]
    lines = (line.partition(":") for line in first.splitlines())
    facts = [f"{key.strip()}: {value.strip()}" for key, _, value in lines if key.strip() in FACTS]
    return facts or [platform.processor()]


def _tokens(ids: Sequence[int]) -> bytes:
    """Return token ids as bytes."""
    return np.asarray(ids, np.int64).tobytes()
