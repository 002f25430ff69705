"""Section `controls` of params.yaml."""

from dataclasses import dataclass

from stages.lib.io.ranges import Limit


@dataclass(frozen=True)
class ControlsConfig:
    """Section `controls` of params.yaml."""

    limit: Limit
