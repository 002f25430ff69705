"""Section `positions` of params.yaml."""

from dataclasses import dataclass

from stages.lib.io.ranges import Count, Limit, Repeats, Seed, Some


@dataclass(frozen=True)
class PositionsConfig:
    """Section `positions` of params.yaml."""

    counts: Some[Count]
    limit: Limit
    draws: Repeats
    seed: Seed
