"""Patched runs and gradients that localisation methods use; every pass is counted."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.benchmark.config import BenchmarkConfig
from stages.lib.forward import Patcher, gates
from stages.lib.forward.prompts import Run
from stages.lib.grafting.units import Changes
from stages.lib.model.readout import toward_true
from stages.lib.patching import aligned, patch
from stages.lib.patching.blocks import Pairs
from stages.lib.patching.experiment import Experiment

Values = NDArray[np.float64]
AT_ONCE = 10  # gates of one prompt that are differentiated together


@dataclass
class Cost:
    """Forward and backward passes, of one prompt each, and seconds."""

    forwards: int = 0
    backwards: int = 0
    seconds: float = 0.0


@dataclass
class Bench:
    """Known statements with both personas' prompts, and the operations that methods run on them.

    Attributes
    ----------
    setting : Experiment
        The model and the statements; all results keep the order of the statements.
    everywhere : list of Pairs
        All paired positions of each statement's two prompts.
    probed : Experiment
        Statements that directions are fitted on.
    adapter : Path or None
        Folder of the lying adapter; None where no weights lie.
    changes : Changes
        What the adapter adds to the weights.
    section : BenchmarkConfig
        Settings of the methods.
    cost : Cost
        Cost of the current method.
    """

    setting: Experiment
    everywhere: list[Pairs]
    probed: Experiment
    adapter: Path | None
    changes: Changes
    section: BenchmarkConfig
    cost: Cost = field(default_factory=Cost)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of layers and of heads per layer."""
        return self.setting.shape

    @property
    def sign(self) -> Values:
        """1 for true statements and -1 for false ones: (n_statements,)."""
        return patch.sign(self.setting.pairs.label)

    def timed(self, method: "Callable[[Bench], Values]") -> tuple[Values, Cost]:
        """Run a method and return its scores and their cost."""
        self.cost, started = Cost(), time.monotonic()
        scores = method(self)
        self.cost.seconds = time.monotonic() - started
        return scores, self.cost

    def log_odds(self, patches: np.ndarray, everywhere: bool, title: str) -> Values:
        """Return the log-odds of the right answer under each patch.

        Parameters
        ----------
        patches : ndarray of shape (n_patches, n_layers, n_heads), bool
            Heads whose z is patched from the source run into the base run.
        everywhere : bool
            Whether to patch all paired positions; otherwise the last `patch.positions`.
        title : str
            Shown beside the progress bar.

        Returns
        -------
        ndarray of shape (2 + n_patches, n_statements), float64
            Rows: the base run, the source run, then each patch.
        """
        label, n = self.setting.pairs.label, len(self.setting.pairs.base)
        self.cost.forwards += (2 + len(patches)) * n
        p = np.empty((2 + len(patches), n, 2), np.float32)
        for part, patcher, z, at in self._patchers() if everywhere else self._last_patchers():
            readouts = patcher(patches, title, z, at)
            p[0, part], p[1, part], p[2:, part] = readouts.base, readouts.source, readouts.patched
        return patch.log_odds(p, label)

    def gains(self, patches: np.ndarray, everywhere: bool, title: str) -> Values:
        """Return each patch's gain in log-odds over the base run: (n_patches, n_statements)."""
        base, _, *patched = self.log_odds(patches, everywhere, title)
        return np.array(patched).reshape(len(patches), -1) - base

    def attribution(self, everywhere: bool) -> Values:
        """Return attribution patching, in nats: (n_statements, n_layers, n_heads)."""
        n = len(self.setting.pairs.base)
        self.cost.forwards += 2 * n
        self.cost.backwards += n
        estimates = np.empty((n, *self.shape))
        for part, patcher, z, at in self._patchers() if everywhere else self._last_patchers():
            estimates[part] = patcher.attribution("attribution", z, at)
        return patch.toward_right(estimates, self.setting.pairs.label)

    def slopes(
        self, strengths: np.ndarray, cut: np.ndarray | None = None, direct: bool = False
    ) -> Values:
        """Return gradients of the right answer's log-odds by gates, at all paired positions.

        Parameters
        ----------
        strengths : ndarray of shape (n_gates, n_layers, n_heads)
            Gate values at which the gradients are taken.
        cut, direct
            As in `gates.score`.

        Returns
        -------
        ndarray of shape (n_statements, n_gates, n_layers, n_heads), float64
        """
        result = np.empty((len(self.setting.pairs.base), *strengths.shape))
        for row, score in self.gated():
            for start in range(0, len(strengths), AT_ONCE):
                batch = slice(start, start + AT_ONCE)
                gate = torch.tensor(strengths[batch], dtype=torch.float32, requires_grad=True)
                total = score(
                    gate, None if cut is None else torch.as_tensor(cut[batch]), direct
                ).sum()
                (slope,) = torch.autograd.grad(total, gate)
                result[row, batch] = slope.double().cpu().numpy()
        return result

    def gated(self) -> "Iterator[tuple[int, Gated]]":
        """Yield each statement's row number and its `Gated`."""
        for part, patcher, z, at in self._patchers():
            source = patcher.z("z")[1] if z is None else z
            for place, row in enumerate(part):
                base = patcher.base.run([place], keep=True)
                self.cost.forwards += 2
                source_z, where = source[:, [place]].to(base.z), torch.as_tensor(at[place])
                sign = float(self.sign[row])
                yield row, Gated(patcher, place, base, source_z, where, sign, self.cost)

    def _last_patchers(self) -> "list[tuple[list[int], Patcher, Tensor | None, np.ndarray | None]]":
        """The patcher of all statements at the last positions."""
        return [(list(range(len(self.setting.pairs.base))), self.setting.patcher(), None, None)]

    def _patchers(self) -> "Iterator[tuple[list[int], Patcher, Tensor | None, np.ndarray]]":
        """Patchers of all paired positions, one per batch of statements."""
        for part, patcher, z in aligned.patchers(self.setting, self.everywhere):
            at = aligned.mask([self.everywhere[i] for i in part], patcher.base.n_tail)
            yield part, patcher, z, at


@dataclass(frozen=True)
class Gated:
    """One statement, patched at all paired positions with a strength (gate) per head.

    Attributes
    ----------
    patcher, place, base, z, at
        As in `gates.score`.
    sign : float
        1 for a true statement, -1 for a false one.
    cost : Cost
        Where passes are counted.
    """

    patcher: Patcher
    place: int
    base: Run
    z: Tensor
    at: Tensor
    sign: float
    cost: Cost

    def __call__(
        self, strengths: Tensor, cut: Tensor | None = None, direct: bool = False
    ) -> Tensor:
        """Return log-odds of the right answer with their graph, (n_gates,); see `gates.score`."""
        self.cost.forwards += len(strengths)
        self.cost.backwards += len(strengths)
        group_patcher = self.patcher

        def read(logits: Tensor) -> Tensor:
            return self.sign * toward_true(logits, group_patcher.answers)

        run = (group_patcher.base, self.place, self.base, self.z, strengths, self.at)
        return gates.score(*run, read, cut, direct)
