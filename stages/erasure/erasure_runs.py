"""Runs of both personas with erased z patched in, a window of layers at a time."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from stages.erasure import erase, erased
from stages.erasure.config import ErasureConfig
from stages.erasure.erased import Erased
from stages.erasure.erasure_tables import CONTROLS, LEACE, NONE, ORACLE, RUNS
from stages.erasure.moments import Moments
from stages.lib import forward
from stages.lib.forward import Patcher
from stages.lib.io.cli import UserError
from stages.lib.patching import patched_runs
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.prompt_pairs import PromptPairs

AT_ONCE = 32  # prompts whose z is held at a time


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
    pairs = setting.pairs
    if fitted.label.all() or not fitted.label.any():
        pairs = pairs.only(pairs.table["statement_id"].clear())
    made: list[pl.DataFrame] = []
    for role in ("source", "base"):
        persona = getattr(setting.config, role)
        patcher = _patcher(setting, role, config, pairs)
        changes = _changes(setting, role, config, fitted, pairs)
        for (name, draw), change in zip(_names(config), changes, strict=True):
            read = patcher(patches, f"erasure: {persona}, {name}", z=change)
            share = None if change is None else change.removed
            if (name, draw) == (LEACE, 0):
                made.append(_rows(pairs, read.base, persona, NONE, 0))
            for layers, p in zip(chosen, read.patched, strict=True):
                made.append(_rows(pairs, p, persona, name, draw, layers, share))
    return pl.concat(made)


def _changes(
    setting: Experiment, role: str, config: ErasureConfig, fitted: PromptPairs, pairs: PromptPairs
) -> Sequence[Erased | None]:
    """What each of `_names` makes of one persona's z; None without statements to erase from."""
    if not len(pairs.table):
        return [None] * len(_names(config))
    permuted = (
        np.random.default_rng([config.seed, draw]).permutation(fitted.label)
        for draw in range(config.draws)
    )
    known = _moments(setting, role, config, fitted, [fitted.label, *permuted])
    erasers = [erase.fit(layer) for layer in known]
    of_draws: dict[str, list[list[erase.Eraser]]] = {"permuted": [], "random": []}
    for draw in range(config.draws):
        random = np.random.default_rng([config.seed, draw])
        of_draws["permuted"].append([erase.fit(layer, 1 + draw) for layer in known])
        drawn = [erase.random_direction(layer.mean, random) for layer in known]
        of_draws["random"].append(drawn)
    del known  # covariances, which take more than all the rest
    rows = _moments(setting, role, config, pairs, [pairs.label])
    oracles = [erase.oracle(layer) for layer in rows]
    made = [erased.of(erasers, rows, pairs.label), erased.of(oracles, rows, pairs.label)]
    return made + [
        erased.of(maps, rows, pairs.label) for name in CONTROLS for maps in of_draws[name]
    ]


def _moments(
    setting: Experiment,
    role: str,
    config: ErasureConfig,
    pairs: PromptPairs,
    labels: list[NDArray[np.bool_]],
) -> list[Moments]:
    """Sum z of one persona's unpatched runs, layer by layer, with some labels of the statements."""
    stacked = np.stack(labels, axis=1).astype(np.float64)
    layers = [Moments() for _ in range(setting.lm.n_layers)]
    done = 0
    for chunk in forward.capture(
        setting.lm,
        setting.answers,
        getattr(pairs, role),
        list(range(-config.positions, 0)),
        AT_ONCE,
        f"erasure: {getattr(setting.config, role)}",
        prefix=getattr(pairs, f"{role}_prefix"),
        key="erasure.positions",
    ):
        z = torch.from_numpy(chunk["z"])  # (n_prompts, n_positions, n_layers, n_heads, d_head)
        of_chunk = stacked[done : done + len(z)]
        done += len(z)
        for layer, moments in enumerate(layers):
            moments.add(erase.rows(z[:, :, layer]), of_chunk)
    return layers


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


def _patcher(setting: Experiment, role: str, config: ErasureConfig, pairs: PromptPairs) -> Patcher:
    """Patch a persona's own run; every eraser starts from the same runs."""
    ids, prefix = getattr(pairs, role), getattr(pairs, f"{role}_prefix")
    return Patcher(
        setting.lm,
        setting.answers,
        ids,
        ids,
        config.positions,
        keep=True,
        key="erasure.positions",
        prefixes=(prefix, prefix),
    )
