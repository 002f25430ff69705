"""Section `windows` of params.yaml."""

from dataclasses import dataclass

from stages.lib.io.ranges import Count, Limit


@dataclass(frozen=True)
class WindowsConfig:
    """Section `windows` of params.yaml."""

    size: Count
    limit: Limit
