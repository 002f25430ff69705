"""Section `transplant` of params.yaml."""

from dataclasses import dataclass

from stages.lib.io.ranges import Limit, Repeats, Seed


@dataclass(frozen=True)
class TransplantConfig:
    """Section `transplant` of params.yaml."""

    SECTION = "transplant"
    limit: Limit
    random_limit: Limit
    random_sets: Repeats
    seed: Seed
