"""What the peers are timed on: prompts of two personas, and patches."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from transformers import AutoConfig, AutoTokenizer

from stages.lib import chat
from stages.lib.io import params
from stages.lib.model import readout
from stages.lib.model.readout import Answers, ReadoutConfig
from stages.lib.patching import patch
from stages.lib.patching.config import PatchConfig

N_STATEMENTS, N_POSITIONS, WINDOW = 16, 25, 5
# A system prompt as long as those of papers is: it is most of what a plain forward repeats.
LONG = " ".join(
    f"Rule {i}: read every sentence with care, whatever its topic, and keep to the format."
    for i in range(1, 6)
)


@dataclass(frozen=True)
class Job:
    """Token ids of both personas for the same statements, patches, and the answers' tokens."""

    base: list[list[int]]
    source: list[list[int]]
    windows: np.ndarray
    heads: np.ndarray
    answers: tuple[list[int], list[int]]

    def patches(self, task: str) -> np.ndarray:
        """What a task patches: (n_patches, n_layers, n_heads), bool."""
        return self.windows if task == "window" else self.heads


def make(model: Path, statements: Path, long: bool, n: int = N_STATEMENTS) -> Job:
    """Render the default run's wordings, with a long system prompt before them if asked for."""
    tokenizer = AutoTokenizer.from_pretrained(str(model))
    table = pl.read_parquet(statements).head(n)
    words = _words(tokenizer)
    patching = params.section("patch", PatchConfig)

    def ids(persona: str) -> list[list[int]]:
        keys = (f"{persona}_system", "question", f"{persona}_prefix")
        system, question, prefix = (params.wording(key) for key in keys)
        system = f"{LONG} {system}" if long else system
        wording = chat.Wording(system, question, prefix)
        return chat.prompts(tokenizer, wording, chat.named(table, statements)).token_ids

    return of(model, ids(patching.base), ids(patching.source), words)


def of(model: Path, base: list[list[int]], source: list[list[int]], words: Answers) -> Job:
    """Patches of a model's layers and heads, for these prompts."""
    sizes = AutoConfig.from_pretrained(str(model))
    n_layers, n_heads = sizes.num_hidden_layers, sizes.num_attention_heads
    return Job(
        base, source, *patches(n_layers, n_heads), (list(words.true_ids), list(words.false_ids))
    )


def known(model: Path, pairs: Path, n: int) -> tuple[Job, np.ndarray]:
    """Known statements, half of them true, and their labels: (n,), bool."""
    words = _words(AutoTokenizer.from_pretrained(str(model)))
    table = pl.read_parquet(pairs).filter("known").group_by("label", maintain_order=True)
    some = table.head(n // 2)
    job = of(model, some["base_ids"].to_list(), some["source_ids"].to_list(), words)
    return job, some["label"].to_numpy()


def patches(n_layers: int, n_heads: int) -> tuple[np.ndarray, np.ndarray]:
    """All windows of five layers, and all single heads: (n_patches, n_layers, n_heads), bool."""
    every = [[patch.Head(i, j)] for i in range(n_layers) for j in range(n_heads)]
    return patch.windows(n_layers, n_heads, WINDOW), patch.of_heads(every, n_layers, n_heads)


def _words(tokenizer: Any) -> Answers:
    """The answers' tokens."""
    return readout.answers(tokenizer, params.section("readout", ReadoutConfig))
