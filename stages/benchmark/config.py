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
    "weight_change": "size of the weight change",
    "random": "random",
}
"""What pictures and the report call each method. ``last``: at the last `patch.positions` alone."""


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
    mask_rate: Annotated[float, Range(above=0)]  # its learning rate
    probe_limit: Limit  # known statements of the selection split that directions are fitted on
    stability_limit: Limit  # known statements of the selection split that are resampled
    doses: Some[Share]  # shares of the change of weights
    seed: Seed
