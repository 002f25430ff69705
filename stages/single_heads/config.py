"""Section `single_heads` of params.yaml."""

from dataclasses import dataclass

from stages.lib.io.ranges import Limit


@dataclass(frozen=True)
class SingleHeadsConfig:
    """Section `single_heads` of params.yaml."""

    SECTION = "single_heads"
    limit: Limit
