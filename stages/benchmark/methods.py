"""Methods of localisation: each scores every head, the larger the more it points at the head.

All are in log-odds of the right answer, of honest z patched into the liar's run, on statements of
the selection split. A method that is a mean over statements gives the score of each of them.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from stages.benchmark import mask
from stages.benchmark.bench import Bench, Values
from stages.lib.grafting import units
from stages.lib.grafting.units import Unit
from stages.lib.patching import patch
from stages.lib.patching.graft_names import HEAD
from stages.lib.patching.patch import Head

Method = Callable[[Bench], Values]
"""From a bench to scores, (n_statements or 1, n_layers, n_heads)."""


def window(bench: Bench, everywhere: bool) -> Values:
    """Windows of layers (arXiv:2311.15131): mean gain of the windows that a head's layer is in."""
    n_layers, n_heads = bench.shape
    patches = patch.windows(n_layers, n_heads, bench.section.window)
    gained = bench.gained(patches, everywhere, "windows").T  # (n_statements, n_windows)
    inside = patches.any(axis=2).astype(float)  # (n_windows, n_layers)
    layers = gained @ inside / inside.sum(axis=0)
    return np.repeat(layers[:, :, None], n_heads, axis=2)


def single_heads(bench: Bench, everywhere: bool) -> Values:
    """Patch each head alone."""
    n_layers, n_heads = bench.shape
    heads = patch.of_heads([[head] for head in _every(bench)], n_layers, n_heads)
    return bench.gained(heads, everywhere, "single heads").T.reshape(-1, n_layers, n_heads)


def leave_one_out(bench: Bench) -> Values:
    """Leave each head out of the best window (arXiv:2311.15131); elsewhere 0."""
    inside = _best_window(bench)
    patches = np.stack([inside] + [inside & ~alone for alone in _alone(inside)])
    whole, *without = bench.gained(patches, False, "leave one out")
    scores = np.zeros((len(whole), *bench.shape))
    scores[:, inside] = (whole - np.array(without)).T
    return scores


def greedy(bench: Bench) -> Values:
    """Add heads of the best window greedily, until all of the window's gain is there.

    A head's score is the share of the window's gain that was still missing before it was added.
    """
    inside = _best_window(bench)
    n_layers, n_heads = bench.shape

    def gain(sets: list[list[Head]]) -> list[float]:
        patches = patch.of_heads(sets, n_layers, n_heads)
        return bench.gained(patches, False, f"{len(sets[0])} heads").mean(axis=1).tolist()

    (target,) = gain([patch.heads_of(inside)])
    scores = np.zeros((1, *bench.shape))
    steps = patch.greedy(gain, patch.heads_of(inside), 0.0, target)
    for before, step in pairwise(steps):
        if step.head is not None and target > 0:
            scores[0, step.head.layer, step.head.head] = max(0.0, 1 - before.score / target)
    return scores


def attribution(bench: Bench, everywhere: bool) -> Values:
    """Attribution patching: (z of the source - z of the base) times the slope in the base run.

    N. Nanda (2023); Syed, Rager, Conmy, arXiv:2310.10348.
    """
    return bench.attribution(everywhere)


def integrated_gradients(bench: Bench) -> Values:
    """Mean slope by a head's gate on the straight line from no patch to all heads patched.

    The scores of all heads add up to what patching all of them gains (Sundararajan, Taly, Yan,
    arXiv:1703.01365); attribution patching is the slope at the start of that line.
    """
    n = bench.section.gradient_steps
    middles = (np.arange(n) + 0.5) / n
    strengths = np.ones((n, *bench.shape)) * middles[:, None, None]
    return bench.slopes(strengths).mean(axis=1)


def grad_drop(bench: Bench) -> Values:
    """Attribution patching that no two paths can cancel in: GradDrop of AtP* (arXiv:2403.00745).

    The slopes are taken once per layer, felt through every layer but that one; a head's score is
    the mean size of its estimates.
    """
    n_layers = bench.shape[0]
    dropped = np.eye(n_layers, dtype=bool)[:, :, None].repeat(2, axis=2)
    slopes = bench.slopes(np.zeros((n_layers, *bench.shape)), dropped)
    return np.abs(slopes).sum(axis=1) / (n_layers - 1)


def logit_attribution(bench: Bench) -> Values:
    """What a head's change of z adds to the answer directly, through no later layer."""
    return bench.slopes(np.zeros((1, *bench.shape)), direct=True)[:, 0]


def probe_divergence(bench: Bench) -> Values:
    """One minus the cosine of a head's truth direction in the honest and in the liar's run.

    A direction is the difference of mean z of true and of false statements at the last token.
    """
    setting = bench.probed
    base, source = setting.patcher().z("z")
    bench.cost.forwards += 2 * len(setting.pairs.base)
    label = setting.pairs.label
    directions = [
        (z[:, label, -1].double().mean(dim=1) - z[:, ~label, -1].double().mean(dim=1)).numpy()
        for z in (base, source)
    ]  # (n_layers, n_heads, d_head) each
    product = (directions[0] * directions[1]).sum(axis=-1)
    norms = [np.linalg.norm(direction, axis=-1) for direction in directions]
    return (1 - product / np.maximum(norms[0] * norms[1], np.finfo(float).tiny))[None]


def weight_change(bench: Bench) -> Values:
    """Norm of the change of the head's weights: no method, as only the trainer knows it."""
    scores = np.zeros((1, *bench.shape))
    for head in _every(bench):
        unit = Unit(HEAD, *head)
        scores[0, head.layer, head.head] = units.size(
            units.part(bench.setting.lm, bench.changes, unit)
        )
    return scores


def random(bench: Bench) -> Values:
    """Numbers at random: the control."""
    return np.random.default_rng(bench.section.seed).random((1, *bench.shape))


METHODS: dict[str, Method] = {
    "window_last": lambda bench: window(bench, False),
    "window": lambda bench: window(bench, True),
    "single_heads_last": lambda bench: single_heads(bench, False),
    "single_heads": lambda bench: single_heads(bench, True),
    "leave_one_out_last": leave_one_out,
    "greedy_last": greedy,
    "attribution_last": lambda bench: attribution(bench, False),
    "attribution": lambda bench: attribution(bench, True),
    "integrated_gradients": integrated_gradients,
    "grad_drop": grad_drop,
    "learned_mask": mask.learned,
    "logit_attribution": logit_attribution,
    "probe_divergence": probe_divergence,
    "weight_change": weight_change,
    "random": random,
}
"""``_last``: at the last `patch.positions`, as arXiv:2311.15131; else at all paired positions."""
CHEAP = ("attribution_last", "attribution", "integrated_gradients")
"""Methods that are run at every dose."""
BEST = "integrated_gradients"
"""Method by whose order rival sets are looked for."""
RESAMPLED = ("attribution_last", "attribution", "integrated_gradients")
"""Methods that are cheap enough to be run on more statements, which are resampled."""


def _every(bench: Bench) -> list[Head]:
    """All heads of the model, in order."""
    n_layers, n_heads = bench.shape
    return [Head(layer, head) for layer in range(n_layers) for head in range(n_heads)]


def _best_window(bench: Bench) -> np.ndarray:
    """Heads of the window that gains most at the last positions: (n_layers, n_heads), bool."""
    patches = patch.windows(*bench.shape, bench.section.window)
    gained = bench.gained(patches, False, "windows").mean(axis=1)
    return patches[int(gained.argmax())]


def _alone(inside: np.ndarray) -> np.ndarray:
    """Each of some heads alone: (n_heads, n_layers, n_heads per layer), bool."""
    alone = np.zeros((int(inside.sum()), *inside.shape), bool)
    alone[(np.arange(len(alone)), *np.nonzero(inside))] = True
    return alone
