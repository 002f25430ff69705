"""Source, base and patched run of each statement: the answer by layer, and effects of heads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.lib.forward import Patcher, batches, budget, filled, hooks, unembed
from stages.lib.forward.attention import Piece
from stages.lib.forward.parts import Unfit
from stages.lib.forward.plain import PlainPrompts
from stages.lib.forward.prompts import Run
from stages.lib.forward.sublayers import Sublayers
from stages.lib.inspection import RUNS
from stages.lib.model.readout import toward_true
from stages.lib.patching.experiment import Experiment


@dataclass(frozen=True)
class RunResults:
    """Results of every statement; attributes as in `inspection.Inspection`.

    Attributes
    ----------
    answers, lens, effects : ndarray
    reasons : dict of str to str
    """

    answers: np.ndarray
    lens: np.ndarray
    effects: np.ndarray
    reasons: dict[str, str]


def look(setting: Experiment, patch: np.ndarray) -> RunResults:
    """Run every statement as source, as base, and as base with z of some heads patched in.

    Parameters
    ----------
    setting : Experiment
        Statements (at least one) and model; the site is z.
    patch : ndarray of shape (n_layers, n_heads), bool
        Heads whose z is patched in from the source run.

    Returns
    -------
    RunResults
    """
    layers, reasons = _layers(setting)
    patcher, n = setting.patcher(), len(setting.pairs.base)

    def read_batch(rows: list[int]) -> dict[str, np.ndarray]:
        base, source = patcher.base.run(rows, keep=True), patcher.source.run(rows)
        residual, last = _patched(patcher, rows, base, source, patch)
        readings = {"effects": _effects(setting, patcher, rows, base, source)}
        readings["answers"] = _read(setting, torch.stack([source.last, base.last, last]))
        if layers is not None:
            streams = [run.residual[:, :, -1] for run in (source, base)]
            readings["lens"] = _lens(setting, layers, torch.stack([*streams, residual]))
        return readings

    results: list[batches.Rows] = []
    with batches.progress("inspect: runs", n) as bar:
        shared = batches.share(list(_cut(patcher)))
        for rows, readings in batches.map_batches(patcher.base, shared, read_batch):
            results.append((rows, readings))
            bar.update(len(set(rows)))
    arrays = batches.assemble(batches.gather(results), n)
    nothing = np.empty((n, len(RUNS), 0, 2), np.float32)
    answers, lens = (x.swapaxes(0, 1) for x in (arrays["answers"], arrays.get("lens", nothing)))
    return RunResults(answers, lens, arrays["effects"], reasons)


def _layers(setting: Experiment) -> tuple[Sublayers | None, dict[str, str]]:
    """Return what applies the final norm to a residual stream; or None, and the reason."""
    try:
        return Sublayers(setting.lm, [setting.pairs.source[0], setting.pairs.base[-1]]), {}
    except Unfit as unfit:
        return None, {"lens": f"{type(setting.lm.model).__name__}: {unfit}"}


def _cut(patcher: Patcher) -> Iterator[list[int]]:
    """Yield batches of base prompts; plain prompts by length, so that a batch is one forward."""
    base = patcher.base
    at_once = min(batches.prompts_at_once(prompts) for prompts in (base, patcher.source))
    plain = isinstance(base, PlainPrompts)
    lengths = [len(ids) if plain else 0 for ids in base.token_ids]
    for length in sorted(set(lengths)):
        rows = [row for row, own in enumerate(lengths) if own == length]
        yield from batches.of_like_length(base, rows, at_once)


def _effects(
    setting: Experiment, patcher: Patcher, rows: list[int], base: Run, source: Run
) -> np.ndarray:
    """Estimate every head's effect by attribution patching: (n_prompts, n_layers, n_heads)."""
    prompts, lm = patcher.base, patcher.lm
    # A gradient's graph needs more memory than a forward pass.
    fit = budget.graphs_at_once(lm, prompts.n_graph, prompts.longest)
    multiple = filled.multiple(lm)
    at_once = max(1, fit // multiple) * multiple
    parts: list[Tensor] = []
    for places in torch.split(torch.arange(len(rows)), at_once):
        part_rows, own = [rows[i] for i in places.tolist()], _part(base, places)
        gradient = prompts.gradient(part_rows, own, lambda x: toward_true(x, setting.answers))
        parts.append(((source.z[:, places] - own.z) * gradient).float().sum(dim=(2, 4)))
    return batches.numbers(torch.cat(parts, dim=1).transpose(0, 1))


def _part(run: Run, rows: Tensor) -> Run:
    """Select rows of a run."""
    middle = run.middle and Piece(
        run.middle.positions[rows],
        [keys[:, rows.to(keys.device)] for keys in run.middle.keys],
        [values[:, rows.to(values.device)] for values in run.middle.values],
    )
    return Run(run.last[rows], run.z[:, rows], run.residual[:, rows], middle)


def _patched(
    patcher: Patcher, rows: list[int], base: Run, source: Run, patch: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Patch; return the residual stream, (n_layers + 1, n_prompts, d_model), and its final norm."""
    own = base.residual[:, :, -1]
    if not patch.any():
        return own, base.last
    with hooks.capture(patcher.lm, 1) as captured:
        (last,) = patcher.base.patched(rows, base, source.z, patch[None])
    first = int(np.flatnonzero(patch.any(axis=1))[0])
    n_after = len(own) - first - 1
    after = [x[:, -1].to(own) for x in captured["residual"][-n_after:]]
    # Layers below the patch do not run again.
    return torch.cat([own[: first + 1], torch.stack(after)]), last


def _lens(setting: Experiment, layers: Sublayers, streams: Tensor) -> np.ndarray:
    """Read the answers off the streams, (n_runs, n_layers + 1, n_prompts, d_model)."""
    normed = layers.normed(streams.flatten(0, 2)).unflatten(0, streams.shape[:3])
    return _read(setting, normed)


def _read(setting: Experiment, last: Tensor) -> np.ndarray:
    """Read log P(true) and log P(false), (n_prompts, ..., 2), off (..., n_prompts, d_model)."""
    run: Any = (0, last.flatten(0, -2))
    ((_, read),) = unembed.readouts(setting.lm, setting.answers, [run])
    values = read[:, :2].reshape(*last.shape[:-1], 2)
    return np.moveaxis(values, -2, 0)
