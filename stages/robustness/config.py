"""Section `robustness` of params.yaml."""

from dataclasses import dataclass

from stages.lib.io.ranges import Limit, Repeats, Seed


@dataclass(frozen=True)
class RobustnessConfig:
    """Section `robustness` of params.yaml."""

    wordings: dict
    choose: Limit
    limit: Limit
    shuffles: Repeats
    seed: Seed
