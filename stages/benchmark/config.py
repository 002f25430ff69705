"""Section `benchmark` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from stages.lib.io.ranges import Count, Limit, Range, Seed, Share, Slug, Some


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
