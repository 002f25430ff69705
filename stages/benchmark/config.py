"""Section `benchmark` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from stages.lib.io.ranges import Count, Limit, Range, Seed, Share, Slug, Some

NAMES = {
    "window_last": "windows, last",
    "window": "windows",
    "single_heads_last": "single heads, last",
    "single_heads": "single heads",
    "leave_one_out_last": "leave one out, last",
    "greedy_last": "greedy, last",
    "attribution_last": "attribution patching, last",
    "attribution": "attribution patching",
    "integrated_gradients": "integrated gradients",
    "grad_drop": "GradDrop",
    "learned_mask": "learned mask",
    "logit_attribution": "direct logit attribution",
    "probe_divergence": "probe divergence",
    "attribution_last_more": "attribution patching, last (more statements)",
    "attribution_more": "attribution patching (more statements)",
    "integrated_gradients_more": "integrated gradients (more statements)",
    "weight_change": "size of the weight change",
    "layers": "layers of the lie alone",
    "random": "random",
}
"""Name of each method in figures and the report.

``last``: patched at the last `patch.positions` only; ``more``: on `stability_limit` statements.
"""
NO_METHODS = ("weight_change", "layers", "random")
"""Scores that are no methods: known only to those who trained the model, or the control."""
MORE = "_more"
"""Suffix of the name of a method that sees `stability_limit` statements."""


@dataclass(frozen=True)
class BenchmarkConfig:
    """Section `benchmark` of params.yaml."""

    SECTION = "benchmark"
    organisms: tuple[Annotated[str, Slug()], ...]
    limit: Limit  # known statements of the selection split, which methods see
    report_limit: Limit  # known statements of the report split, which head sets are scored on
    window: Count  # layers in a window
    gradient_steps: Count  # of integrated gradients
    mask_steps: Count  # of the learned mask
    mask_rate: Annotated[float, Range(above=0)]  # learning rate of the learned mask
    probe_limit: Limit  # known statements of the selection split that directions are fitted on
    stability_limit: Limit  # known statements of the selection split for methods by gradient
    doses: Some[Share]  # shares of the weight change that are merged in
    seed: Seed
