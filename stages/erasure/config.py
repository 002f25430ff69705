"""Section `erasure` of params.yaml."""

from dataclasses import dataclass

from stages.lib.io.ranges import Count, Limit, Seed, Some


@dataclass(frozen=True)
class ErasureConfig:
    """Section `erasure` of params.yaml."""

    sizes: Some[Count]
    stride: Count
    positions: Count
    limit: Limit
    draws: Count
    seed: Seed
