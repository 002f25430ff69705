"""Section `effects` of params.yaml."""

from dataclasses import dataclass

from stages.lib.io.ranges import Limit


@dataclass(frozen=True)
class EffectsConfig:
    """Section `effects` of params.yaml."""

    limit: Limit
