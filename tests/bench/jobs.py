"""What the peers are timed on: prompts of two personas, and patches."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from transformers import AutoConfig, AutoTokenizer

from stages.lib import chat
from stages.lib.io import params
from stages.lib.model import readout
from stages.lib.model.readout import ReadoutConfig
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
    words = readout.answers(tokenizer, params.section("readout", ReadoutConfig))
    patching = params.section("patch", PatchConfig)

    def ids(persona: str) -> list[list[int]]:
        keys = (f"{persona}_system", "question", f"{persona}_prefix")
        system, question, prefix = (params.wording(key) for key in keys)
        system = f"{LONG} {system}" if long else system
        wording = chat.Wording(system, question, prefix)
        return chat.prompts(tokenizer, wording, chat.named(table, statements)).token_ids

    sizes = AutoConfig.from_pretrained(str(model))
    n_layers, n_heads = sizes.num_hidden_layers, sizes.num_attention_heads
    every = [[patch.Head(i, j)] for i in range(n_layers) for j in range(n_heads)]
    return Job(
        ids(patching.base),
        ids(patching.source),
        patch.windows(n_layers, n_heads, WINDOW),
        patch.of_heads(every, n_layers, n_heads),
        (list(words.true_ids), list(words.false_ids)),
    )
