"""Runs of both personas with erased z written into them, a window of layers at a time."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from stages.erasure import erase
from stages.erasure.config import Config
from stages.lib.forward import Patcher
from stages.lib.io.cli import UserError
from stages.lib.patching.cases import Cases
from stages.lib.patching.experiment import Experiment

LEACE, ORACLE = "leace", "oracle"
CONTROLS = ("permuted", "random")


@dataclass(frozen=True)
class Run:
    """Answers of one persona with one eraser.

    Attributes
    ----------
    eraser : str
        ``leace``, ``oracle`` or one of `CONTROLS`.
    draw : int
        Tells random directions, and permutations, apart.
    probabilities : ndarray of shape (n_windows, n_statements, 2), float32
        P(true) and P(false).
    removed : float or None
        Share of z's variance that it removes, over all layers; None without statements.
    """

    eraser: str
    draw: int
    probabilities: np.ndarray
    removed: float | None


@dataclass(frozen=True)
class Runs:
    """Everything that was run.

    Attributes
    ----------
    cases : Cases
        The statements; none where those to fit on have not both labels.
    windows : list of range
        Layers that each window erases in.
    unpatched : dict of str to ndarray of shape (n_statements, 2), float32
        P(true) and P(false) by persona, the source first.
    erased : dict of str to list of Run
        By persona.
    """

    cases: Cases
    windows: list[range]
    unpatched: dict[str, np.ndarray]
    erased: dict[str, list[Run]]


def windows(n_layers: int, config: Config) -> list[range]:
    """Windows of every size, `stride` layers apart; the last ends at the last layer.

    Raises
    ------
    UserError
        If a window has more layers than the model.
    """
    if max(config.sizes) > n_layers:
        raise UserError(
            f"params.yaml: erasure.sizes: found {max(config.sizes)}, expected 1 to {n_layers}, the "
            "model's layers"
        )
    found = []
    for size in sorted(config.sizes):
        last = n_layers - size
        firsts = sorted({*range(0, last + 1, config.stride), last})
        found += [range(first, first + size) for first in firsts]
    return found


def run(setting: Experiment, fitted: Cases, config: Config) -> Runs:
    """Fit erasers on some statements and write erased z into the runs of others.

    What is written is the unpatched run's z, erased. So an attention layer of the window does not
    see what was erased below it; the residual stream, and all that comes after the window, do.

    Parameters
    ----------
    setting : Experiment
        The model and the statements to erase from.
    fitted : Cases
        The statements to fit on. Labels of those to erase from are used by ``oracle`` alone.
    config : Config
        Section `erasure`.

    Returns
    -------
    Runs

    References
    ----------
    arXiv:2311.15131: LEACE on z of all heads in 5 or 10 layers, at the last 15 positions.
    """
    n_layers, n_heads = setting.shape
    chosen = windows(n_layers, config)
    patches = np.zeros((len(chosen), n_layers, n_heads), bool)
    for patch, layers in zip(patches, chosen, strict=True):
        patch[layers.start : layers.stop] = True
    found, known = setting.cases, {}
    if fitted.label.any() and not fitted.label.all():
        both = _patcher(setting, fitted.base, fitted.source, config).z("erasure: fit")
        known = dict(zip((setting.config.base, setting.config.source), both, strict=True))
    else:
        found = found.only(found.table["statement_id"].clear())
    prompts = {setting.config.source: found.source, setting.config.base: found.base}
    unpatched, erased = {}, {persona: [] for persona in prompts}
    for persona, ids in prompts.items():
        patcher = _patcher(setting, ids, ids, config)
        z = patcher.z(f"erasure: {persona}")[0] if ids else None
        for name, draw in _names(config):
            changed = None
            if z is not None:
                label = found.label if name == ORACLE else fitted.label
                changed = _changed(name, known[persona], z, label, [config.seed, draw])
            read = patcher(patches, f"erasure: {persona}, {name}", z=changed)
            share = None if z is None or changed is None else erase.removed(z, changed)
            erased[persona].append(Run(name, draw, read.patched, share))
            unpatched[persona] = read.base
    return Runs(found, chosen, unpatched, erased)


def _names(config: Config) -> list[tuple[str, int]]:
    """Every eraser and draw, in order."""
    return [(LEACE, 0), (ORACLE, 0), *product(CONTROLS, range(config.draws))]


def _changed(name: str, fitted: Tensor, z: Tensor, label: np.ndarray, seed: list[int]) -> Tensor:
    """Erase in one of the ways; `label` is that of `z` for the oracle, else that of `fitted`."""
    random = np.random.default_rng(seed)
    if name == ORACLE:
        return torch.stack([erase.back(erase.oracle(erase.rows(x), label)).to(x) for x in z])
    if name == "random":
        return erase.erased(fitted, z, lambda x: erase.random_direction(x, random))
    drawn = random.permutation(label) if name == "permuted" else label
    return erase.erased(fitted, z, lambda x: erase.leace(x, drawn))


def _patcher(
    setting: Experiment, base: list[list[int]], source: list[list[int]], config: Config
) -> Patcher:
    """Patch at the last `erasure.positions` positions; every eraser starts from the same runs."""
    key, keep = "erasure.positions", base is source
    return Patcher(setting.lm, setting.answers, base, source, config.positions, keep, key)
