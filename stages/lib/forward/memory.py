"""Answers of runs that were made before, in any stage, experiment or process.

A run is a function of the model, its prompts and what is patched where; see `prompts` for why its
numbers do not hang on the runs beside it. So it is made once, and its answers are kept in the store
under a hash of all that. On GPUs a kernel is chosen by the shape of a whole batch: there an answer
that is remembered may differ in the last bits from one that is computed again.
"""

import os
import platform
import re
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

READ = 3  # numbers of a run: log P(true), log P(false), the id of the most likely token
PACKAGES = ("numpy", "torch", "transformers")
CODE = (Path(__file__).parent, Path(language_model.__file__).parent)  # what computes them
BASE, PATCHED = b"base", b"patched"  # kinds of runs; a run of its own has the name of its prompt

_seen: set[bytes] = set()  # runs that this process has looked up


class Memory:
    """Answers of runs of one model.

    Parameters
    ----------
    lm : LanguageModel
        The model. Where its identity is empty, as it has no manifest, nothing is remembered.
    answers : Answers
        Tokens of the readout.
    """

    def __init__(self, lm: LanguageModel, answers: Answers) -> None:
        words = {"true": answers.true_ids, "false": answers.false_ids}
        self._facts = key(lm, words)

    def prompts(self, prompts: Prompts) -> list[bytes]:
        """Name each prompt, and how it is run."""
        how = f"{type(prompts).__name__} {prompts.n_tail} {prompts.site.name}".encode()
        prefix = _tokens(prompts.prefix)
        return [store.digest(self._facts, how, prefix, _tokens(ids)) for ids in prompts.token_ids]

    def recall(self, keys: list[list[bytes]]) -> np.ndarray:
        """Look runs up; every process gets what the main process finds.

        Parameters
        ----------
        keys : list of list of bytes
            Names of runs, as many in each list.

        Returns
        -------
        ndarray of shape (n_lists, n_keys, 3), float32
            log P(true), log P(false) and the most likely token's id; NaN where it is not there.
        """
        values = np.full((len(keys), len(keys[0]), READ), np.nan, np.float32)
        if not self._facts:
            return values
        flat, every = values.reshape(-1, READ), [key for row in keys for key in row]
        known = batches.from_main_process(lambda: store.read(every))
        for i, key in enumerate(every):
            if key in known:
                flat[i] = np.frombuffer(known[key], np.float32)
        missing = {key for key in every if key not in known}
        self.count(computed=len(missing), remembered=len({*every} - missing - _seen))
        _seen.update(every)
        return values

    def count(self, computed: int, remembered: int = 0) -> None:
        """Count runs, to be printed when the stage ends."""
        if self._facts:
            cli.counts.update(remembered=remembered, computed=computed)

    def keep(self, keys: Sequence[bytes], values: np.ndarray) -> None:
        """Remember runs: their names, and (n_runs, 3) of what `recall` gives, float32."""
        if self._facts:
            rows = zip(keys, np.ascontiguousarray(values, np.float32), strict=True)
            store.write({key: row.tobytes() for key, row in rows})


def key(lm: LanguageModel, what: dict[str, Any]) -> bytes:
    """Hash what something that a model computes depends on; b"" where it has no identity."""
    return store.key(_facts(lm) | what) if lm.identity else b""


def _facts(lm: LanguageModel) -> dict[str, Any]:
    """Say what a run depends on that is the same for all runs of a process."""
    return {"model": lm.identity, "dtype": lm.dtype, "code": _code(), "machine": _machine()} | {
        package: version(package) for package in PACKAGES
    }


@cache
def _code() -> str:
    """Hash what runs the model."""
    return store.code(*CODE)


def _machine() -> list[str | int]:
    """Name what computes, as far as rounding may hang on it."""
    if torch.cuda.is_available():
        return ["cuda", torch.cuda.get_device_name()]
    name = platform.processor()
    if os.path.exists("/proc/cpuinfo"):
        models = re.findall(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
        name = next(iter(models), name)
    return ["cpu", name, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()]


def _tokens(ids: Sequence[int]) -> bytes:
    """Token ids as bytes."""
    return np.asarray(ids, np.int64).tobytes()
