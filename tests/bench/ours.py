"""This project's forward pass, behind the same interface as its peers."""

from pathlib import Path

import numpy as np
from transformers import AutoTokenizer

from stages.lib import forward, lm
from stages.lib.forward import budget
from stages.lib.forward.prompts import Prompts
from stages.lib.readout import Answers, probabilities
from tests.bench import common


class Peer:
    """`source` makes the patcher, with its check against plain forwards; runs come after it."""

    def __init__(self, folder: Path, answers: tuple[list[int], list[int]]):
        self.name = "this project"
        tokenizer = AutoTokenizer.from_pretrained(str(folder))
        self.lm = lm.describe(common.load(folder), tokenizer, identity="")
        self.answers = Answers(tuple(answers[0]), tuple(answers[1]))

    def cache(self, prompts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
        """z at the last token, (n_prompts, n_layers, n_heads, d_head), and P(true), P(false)."""
        runs = Prompts(self.lm, prompts, 1)
        own = max(map(len, prompts)) - runs.n_shared
        order = np.argsort([len(prompt) for prompt in prompts], kind="stable")
        at_once = budget.prompts_at_once(self.lm, own, 1)
        parts = [order[i : i + at_once] for i in range(0, len(order), at_once)]
        found = [runs.run(part.tolist()) for part in parts]
        back = np.argsort(order)
        z = np.concatenate([run.z[:, :, 0].transpose(0, 1).numpy() for run in found])
        readouts = [probabilities(run.logits, self.answers).numpy() for run in found]
        return z[back], np.concatenate(readouts)[back]

    def prepare(
        self, base: list[list[int]], source: list[list[int]], n_positions: int
    ) -> forward.Patcher:
        """Make the patcher; every run, of base and source too, is left for later."""
        return forward.Patcher(self.lm, self.answers, base, source, n_positions)

    def patched(self, patcher: forward.Patcher, patches: np.ndarray) -> np.ndarray:
        """P(true), P(false) of patched runs: (n_patches, n_prompts, 2)."""
        return patcher(patches, "").patched

    def select(self, patcher: forward.Patcher, patches: np.ndarray) -> np.ndarray:
        """Rank single heads by attribution, and patch the top tenth of them for real."""
        estimate = np.abs(patcher.attribution("").mean(axis=0))  # (n_layers, n_heads)
        order = np.argsort(-estimate[patches.nonzero()[1:]])
        return self.patched(patcher, patches[order[: len(order) // 10]])
