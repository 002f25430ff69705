"""Section `trace` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from stages.lib.io.ranges import Count, Limit, Range


@dataclass(frozen=True)
class TraceConfig:
    """Section `trace` of params.yaml."""

    SECTION = "trace"
    limit: Limit
    search_limit: Limit
    reverse_limit: Limit
    least: Annotated[float, Range(above=0, most=1)]
    cells: Count
