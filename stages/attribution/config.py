"""Section `attribution` of params.yaml."""

from dataclasses import dataclass

from stages.lib.io.ranges import Limit


@dataclass(frozen=True)
class AttributionConfig:
    """Section `attribution` of params.yaml."""

    limit: Limit
