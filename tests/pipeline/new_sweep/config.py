"""Section `single_layers` of params.yaml."""

from dataclasses import dataclass

from stages.lib.io.ranges import Limit


@dataclass(frozen=True)
class SingleLayersConfig:
    """Section `single_layers` of params.yaml."""

    SECTION = "single_layers"
    limit: Limit
