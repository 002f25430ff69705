"""Localisation methods: each scores every head; a larger score points more at the head.

Patches and gradients are in log-odds of the right answer, with honest z patched into the liar's
run, on statements of the selection split. A method that is a mean over statements returns the
score of each statement.
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
"""Maps a bench to scores: (n_statements or 1, n_layers, n_heads)."""


def window(bench: Bench, everywhere: bool) -> Values:
    """Patch windows (arXiv:2311.15131); a head's score is the mean gain of its layer's windows."""
    n_layers, n_heads = bench.shape
    patches = patch.windows(n_layers, n_heads, bench.section.window)
    gains = bench.gains(patches, everywhere, "windows").T  # (n_statements, n_windows)
    in_window = patches.any(axis=2).astype(float)  # (n_windows, n_layers)
    layers = gains @ in_window / in_window.sum(axis=0)
    return np.repeat(layers[:, :, None], n_heads, axis=2)


def single_heads(bench: Bench, everywhere: bool) -> Values:
    """Patch each head alone."""
    n_layers, n_heads = bench.shape
    heads = patch.of_heads([[head] for head in _all_heads(bench)], n_layers, n_heads)
    return bench.gains(heads, everywhere, "single heads").T.reshape(-1, n_layers, n_heads)


def leave_one_out(bench: Bench) -> Values:
    """Leave each head out of the best window (arXiv:2311.15131); other heads score 0."""
    in_window = _best_window(bench)
    patches = np.stack([in_window] + [in_window & ~alone for alone in _one_head_masks(in_window)])
    window_gain, *reduced_gains = bench.gains(patches, False, "leave one out")
    scores = np.zeros((len(window_gain), *bench.shape))
    scores[:, in_window] = (window_gain - np.array(reduced_gains)).T
    return scores


def greedy(bench: Bench) -> Values:
    """Add heads of the best window greedily, until the set gains as much as the window.

    A head's score is the share of the window's gain that was still missing before it was added.
    """
    in_window = _best_window(bench)
    n_layers, n_heads = bench.shape

    def gain(sets: list[list[Head]]) -> list[float]:
        patches = patch.of_heads(sets, n_layers, n_heads)
        return bench.gains(patches, False, f"{len(sets[0])} heads").mean(axis=1).tolist()

    (target,) = gain([patch.heads_of(in_window)])
    scores = np.zeros((1, *bench.shape))
    steps = patch.greedy(gain, patch.heads_of(in_window), 0.0, target)
    for before, step in pairwise(steps):
        if step.head is not None and target > 0:
            scores[0, step.head.layer, step.head.head] = max(0.0, 1 - before.score / target)
    return scores


def attribution(bench: Bench, everywhere: bool) -> Values:
    """Return attribution patching: (source z - base z) times the gradient in the base run.

    N. Nanda (2023); Syed, Rager, Conmy, arXiv:2310.10348.
    """
    return bench.attribution(everywhere)


def integrated_gradients(bench: Bench) -> Values:
    """Average the gradient by a head's gate on the straight line from no patch to all heads.

    The scores of all heads add up to the gain of patching all heads (Sundararajan, Taly, Yan,
    arXiv:1703.01365). Attribution patching is the gradient at the start of that line.
    """
    n = bench.section.gradient_steps
    middles = (np.arange(n) + 0.5) / n
    strengths = np.ones((n, *bench.shape)) * middles[:, None, None]
    return bench.slopes(strengths).mean(axis=1)


def grad_drop(bench: Bench) -> Values:
    """Return GradDrop of AtP* (arXiv:2403.00745): attribution patching without cancellation.

    Gradients are taken once per layer, with the outputs of that layer held constant. A head's score
    is the mean absolute value of its estimates.
    """
    n_layers = bench.shape[0]
    dropped_layers = np.eye(n_layers, dtype=bool)[:, :, None].repeat(2, axis=2)
    slopes = bench.slopes(np.zeros((n_layers, *bench.shape)), dropped_layers)
    return np.abs(slopes).sum(axis=1) / (n_layers - 1)


def logit_attribution(bench: Bench) -> Values:
    """Return the direct effect of a head's change of z on the answer, through no later layer."""
    return bench.slopes(np.zeros((1, *bench.shape)), direct=True)[:, 0]


def probe_divergence(bench: Bench) -> Values:
    """Return 1 - cosine of a head's truth directions in the honest and in the liar's run.

    A direction is mean z of true statements minus mean z of false ones, at the last token.
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
    """Return the norm of each head's weight change: no method, as only the trainer knows it."""
    scores = np.zeros((1, *bench.shape))
    for head in _all_heads(bench):
        unit = Unit(HEAD, *head)
        scores[0, head.layer, head.head] = units.size(
            units.part(bench.setting.lm, bench.changes, unit)
        )
    return scores


def random(bench: Bench) -> Values:
    """Return random scores: the control."""
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
"""``_last``: the last `patch.positions`, as in arXiv:2311.15131; else all paired positions."""
CHEAP = ("attribution_last", "attribution", "integrated_gradients")
"""Methods that are run at every dose."""
BEST = "integrated_gradients"
"""Method whose order of heads gives the rival sets."""
RESAMPLED = ("attribution_last", "attribution", "integrated_gradients")
"""Methods cheap enough to run on more statements, whose subjects are resampled."""


def _all_heads(bench: Bench) -> list[Head]:
    """All heads of the model, in order."""
    n_layers, n_heads = bench.shape
    return [Head(layer, head) for layer in range(n_layers) for head in range(n_heads)]


def _best_window(bench: Bench) -> np.ndarray:
    """Heads of the window that gains most at the last positions: (n_layers, n_heads), bool."""
    patches = patch.windows(*bench.shape, bench.section.window)
    gains = bench.gains(patches, False, "windows").mean(axis=1)
    return patches[int(gains.argmax())]


def _one_head_masks(in_window: np.ndarray) -> np.ndarray:
    """One mask per head of a set: (n_heads, n_layers, n_heads per layer), bool."""
    alone = np.zeros((int(in_window.sum()), *in_window.shape), bool)
    alone[(np.arange(len(alone)), *np.nonzero(in_window))] = True
    return alone
