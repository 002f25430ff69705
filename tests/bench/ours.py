"""This project's forward pass, behind the same interface as its peers.

Its check against plain forwards, of two prompts at the start of a stage, is left out of the times.
"""

from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from stages.lib import forward
from stages.lib.forward import activations, patcher
from stages.lib.model import lm
from stages.lib.model.readout import Answers
from tests.bench import common


class Peer:
    def __init__(self, model: Path | Any, answers: tuple[list[int], list[int]]):
        self.lm = lm.describe(common.load(model), None, identity="")
        self.answers = Answers(tuple(answers[0]), tuple(answers[1]))

    def cache(self, prompts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
        """z at the last token, (n_prompts, n_layers, n_heads, d_head), and P(true), P(false)."""
        with mock.patch.object(activations, "shortcut_is_exact", return_value=True):
            chunks = forward.capture(self.lm, self.answers, prompts, [-1], len(prompts), "")
            (result,) = chunks
        return result["z"][:, 0], result["readout"]

    def patcher(
        self,
        base: list[list[int]],
        source: list[list[int]],
        n_positions: int,
        prefixes: Any = (None, None),
        shortcut: bool = True,
    ) -> forward.Patcher:
        """Make the patcher, which runs nothing yet; without the shortcut, one of plain forwards."""
        with mock.patch.object(patcher, "shortcut_is_exact", return_value=shortcut):
            args = (self.lm, self.answers, base, source, n_positions)
            return forward.Patcher(*args, prefixes=prefixes)

    def patched(self, patcher: forward.Patcher, patches: np.ndarray) -> np.ndarray:
        """P(true), P(false) of patched runs: (n_patches, n_prompts, 2)."""
        return patcher(patches, "").patched

    def select(self, patcher: forward.Patcher, patches: np.ndarray) -> np.ndarray:
        """Rank single heads by attribution, and patch the top tenth of them for real."""
        estimate = np.abs(patcher.attribution("").mean(axis=0))  # (n_layers, n_heads)
        order = np.argsort(-estimate[patches.nonzero()[1:]])
        return self.patched(patcher, patches[order[: len(order) // 10]])
