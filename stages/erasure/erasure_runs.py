"""Runs of both personas with erased z patched in, a window of layers at a time."""

from itertools import product

import numpy as np
import polars as pl
import torch
from torch import Tensor

from stages.erasure import erase
from stages.erasure.config import ErasureConfig
from stages.erasure.erasure_tables import CONTROLS, LEACE, NONE, ORACLE, RUNS
from stages.lib.forward import Patcher
from stages.lib.io.cli import UserError
from stages.lib.patching import patched_runs
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.prompt_pairs import PromptPairs


def windows(n_layers: int, config: ErasureConfig) -> list[range]:
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
    layers = []
    for size in sorted(config.sizes):
        last = n_layers - size
        firsts = sorted({*range(0, last + 1, config.stride), last})
        layers += [range(first, first + size) for first in firsts]
    return layers


def run(setting: Experiment, fitted: PromptPairs, config: ErasureConfig) -> pl.DataFrame:
    """Fit erasers on some statements and patch erased z into the runs of others.

    What is patched in is the unpatched run's z, erased. So an attention layer of the window does
    not see what was erased below it; the residual stream, and all that comes after the window, do.

    Parameters
    ----------
    setting : Experiment
        The model and the statements to erase from.
    fitted : PromptPairs
        The statements to fit on. Labels of those to erase from are used by ``oracle`` alone.
    config : ErasureConfig
        Section `erasure`.

    Returns
    -------
    DataFrame
        One row per statement and run, with the columns of `erasure_tables.RUNS`; the unpatched
        runs have no layers. Empty where the statements to fit on have not both labels.

    References
    ----------
    arXiv:2311.15131: LEACE on z of all heads in 5 or 10 layers, at the last 15 positions.
    """
    n_layers, n_heads = setting.shape
    chosen = windows(n_layers, config)
    patches = np.zeros((len(chosen), n_layers, n_heads), bool)
    for patch, layers in zip(patches, chosen, strict=True):
        patch[layers.start : layers.stop] = True
    pairs, known = setting.pairs, {}
    if fitted.label.any() and not fitted.label.all():
        both = _patcher(setting, "base", "source", config, fitted).z("erasure: fit")
        known = dict(zip((setting.config.base, setting.config.source), both, strict=True))
    else:
        pairs = pairs.only(pairs.table["statement_id"].clear())
    made = []
    for role in ("source", "base"):
        persona = getattr(setting.config, role)
        patcher = _patcher(setting, role, role, config, pairs)
        z = patcher.z(f"erasure: {persona}")[0] if len(pairs.table) else None
        for name, draw in _names(config):
            changed = None
            if z is not None:
                label = pairs.label if name == ORACLE else fitted.label
                changed = _changed(name, known[persona], z, label, [config.seed, draw])
            read = patcher(patches, f"erasure: {persona}, {name}", z=changed)
            share = None if z is None or changed is None else erase.removed(z, changed)
            if (name, draw) == (LEACE, 0):
                made.append(_rows(pairs, read.base, persona, NONE, 0))
            for layers, p in zip(chosen, read.patched, strict=True):
                made.append(_rows(pairs, p, persona, name, draw, layers, share))
    return pl.concat(made)


def _rows(
    pairs: PromptPairs,
    probabilities: np.ndarray,
    persona: str,
    eraser: str,
    draw: int,
    layers: range | None = None,
    removed: float | None = None,
) -> pl.DataFrame:
    """One run's rows; without layers, of the unpatched run."""
    patch_id = f"{eraser}_{draw} {layers.start}-{layers[-1]}" if layers else "none"
    table = patched_runs.rows(pairs, probabilities, persona, persona, patch_id).drop("heads")
    columns = {"eraser": eraser, "draw": draw, "removed": removed}
    columns |= {"first_layer": layers.start, "last_layer": layers[-1]} if layers else {}
    return table.with_columns(
        pl.lit(columns.get(name), RUNS[name]).alias(name)
        for name in RUNS
        if name not in table.columns
    )


def _names(config: ErasureConfig) -> list[tuple[str, int]]:
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
    setting: Experiment, into: str, of: str, config: ErasureConfig, pairs: PromptPairs
) -> Patcher:
    """Patch at the last `erasure.positions` positions; every eraser starts from the same runs."""
    ids = {"source": pairs.source, "base": pairs.base}
    prefixes = {"source": pairs.source_prefix, "base": pairs.base_prefix}
    return Patcher(
        setting.lm,
        setting.answers,
        ids[into],
        ids[of],
        config.positions,
        keep=into == of,
        key="erasure.positions",
        prefixes=(prefixes[into], prefixes[of]),
    )
