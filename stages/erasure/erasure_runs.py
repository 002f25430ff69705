"""Runs of both personas with erased z patched in, a window of layers at a time."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from stages.erasure import erase, erased
from stages.erasure.config import ErasureConfig
from stages.erasure.erased import Erased
from stages.erasure.moments import Moments
from stages.erasure.schema import CONTROLS, LEACE, NONE, ORACLE, RUNS
from stages.lib import forward
from stages.lib.forward import Patcher
from stages.lib.patching import best_window, patch, patched_runs
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.prompt_pairs import PromptPairs

AT_ONCE = 32  # prompts whose z is held at a time


def windows(n_layers: int, config: ErasureConfig) -> list[range]:
    """Return windows of every size, `stride` layers apart; the last ends at the last layer."""
    layers = []
    for size in sorted(config.sizes):
        last = n_layers - size
        firsts = sorted({*range(0, last + 1, config.stride), last})
        layers += [range(first, first + size) for first in firsts]
    return layers


def run(
    setting: Experiment, fit_pairs: PromptPairs, config: ErasureConfig, best: range | None
) -> pl.DataFrame:
    """Fit erasers on some statements and patch erased z into the runs of others.

    The patched-in z is the erased z of the unpatched run. So z of an attention layer in the window
    does not reflect what was erased in lower layers of the window; the residual stream and all
    layers after the window do.

    Parameters
    ----------
    setting : Experiment
        The model and the statements to erase from.
    fit_pairs : PromptPairs
        The statements to fit on. Only ``oracle`` uses the labels of the statements to erase from.
    config : ErasureConfig
        Section `erasure`.
    best : range or None
        Layers of the best window. The window nearest to it has all draws of each control, other
        windows have the first alone.

    Returns
    -------
    DataFrame
        One row per statement and run, with the columns of `schema.RUNS`; the unpatched
        runs have no layers. Empty where the statements to fit on lack a label.

    Raises
    ------
    UserError
        If a window has more layers than the model.

    References
    ----------
    arXiv:2311.15131: LEACE on z of all heads in 5 or 10 layers, at the last 15 positions.
    """
    setting.require_layers("erasure.sizes", max(config.sizes))
    n_layers, n_heads = setting.shape
    layer_windows = windows(n_layers, config)
    patches = patch.of_windows(layer_windows, n_layers, n_heads)
    pairs = setting.pairs
    if fit_pairs.label.all() or not fit_pairs.label.any():
        pairs = pairs.only(pairs.table["statement_id"].clear())
    compared = best_window.nearest(layer_windows, best) if best else None
    if compared is None:
        config = replace(config, draws=1)
    results: list[pl.DataFrame] = []
    for role in ("source", "base"):
        persona = getattr(setting.config, role)
        patcher = _patcher(setting, role, config, pairs)
        changes = _changes(setting, role, config, fit_pairs, pairs)
        for (name, draw), change in zip(_names(config), changes, strict=True):
            chosen = [i for i, layers in enumerate(layer_windows) if not draw or layers == compared]
            readouts = patcher(patches[chosen], f"erasure: {persona}, {name}", z=change)
            share = None if change is None else change.removed
            if (name, draw) == (LEACE, 0):
                results.append(_rows(pairs, readouts.base, persona, NONE, 0))
            for i, p in zip(chosen, readouts.patched, strict=True):
                layers = layer_windows[i]
                results.append(_rows(pairs, p, persona, name, draw, layers, share))
    return pl.concat(results)


def _changes(
    setting: Experiment,
    role: str,
    config: ErasureConfig,
    fit_pairs: PromptPairs,
    pairs: PromptPairs,
) -> Sequence[Erased | None]:
    """Erased z of one persona for each of `_names`; None without statements to erase from."""
    if not len(pairs.table):
        return [None] * len(_names(config))
    permuted = (
        np.random.default_rng([config.seed, draw]).permutation(fit_pairs.label)
        for draw in range(config.draws)
    )
    fitted_moments = _moments(setting, role, config, fit_pairs, [fit_pairs.label, *permuted])
    by_layer = [erase.fit_labels(layer) for layer in fitted_moments]
    erasers, *permuted_maps = map(list, zip(*by_layer, strict=True))
    random_maps: list[list[erase.Eraser]] = []
    for draw in range(config.draws):
        random = np.random.default_rng([config.seed, draw])
        random_maps.append([erase.random_direction(layer.mean, random) for layer in fitted_moments])
    control_maps = {"permuted": permuted_maps, "random": random_maps}
    del fitted_moments  # its covariances take more memory than all the rest
    rows = _moments(setting, role, config, pairs, [pairs.label])
    oracles = [erase.oracle(layer) for layer in rows]
    results = [erased.of(erasers, rows, pairs.label), erased.of(oracles, rows, pairs.label)]
    return results + [
        erased.of(maps, rows, pairs.label) for name in CONTROLS for maps in control_maps[name]
    ]


def _moments(
    setting: Experiment,
    role: str,
    config: ErasureConfig,
    pairs: PromptPairs,
    labels: list[NDArray[np.bool_]],
) -> list[Moments]:
    """Moments of one persona's unpatched z, layer by layer, with one or more sets of labels."""
    stacked = np.stack(labels, axis=1).astype(np.float64)
    layers = [Moments() for _ in range(setting.lm.n_layers)]
    n_done = 0
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
        chunk_labels = stacked[n_done : n_done + len(z)]
        n_done += len(z)
        for layer, moments in enumerate(layers):
            moments.add(erase.rows(z[:, :, layer]), chunk_labels)
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
    """Rows of one run; without layers, of the unpatched run."""
    patch_id = f"{eraser}_{draw} {layers.start}-{layers[-1]}" if layers else patched_runs.UNPATCHED
    columns: dict[str, Any] = {"eraser": eraser, "draw": draw, "removed": removed}
    columns |= {"first_layer": layers.start, "last_layer": layers[-1]} if layers else {}
    return patched_runs.rows(
        pairs, probabilities, persona, persona, patch_id, schema=RUNS, **columns
    )


def _names(config: ErasureConfig) -> list[tuple[str, int]]:
    """Every eraser and draw, in order."""
    return [(LEACE, 0), (ORACLE, 0), *product(CONTROLS, range(config.draws))]


def _patcher(setting: Experiment, role: str, config: ErasureConfig, pairs: PromptPairs) -> Patcher:
    """Patcher of a persona's own run, which all erasers share."""
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
