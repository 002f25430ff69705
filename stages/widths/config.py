"""Section `widths` of params.yaml."""

from dataclasses import dataclass

from stages.lib.io.ranges import Count, Limit, Some


@dataclass(frozen=True)
class WidthsConfig:
    """Section `widths` of params.yaml."""

    sizes: Some[Count]
    limit: Limit
    report_limit: Limit
