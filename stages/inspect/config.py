"""Section `inspect` of params.yaml."""

from dataclasses import dataclass

from stages.lib.io.ranges import Limit


@dataclass(frozen=True)
class InspectConfig:
    """Section `inspect` of params.yaml."""

    SECTION = "inspect"
    limit: Limit
