"""Section `grafts` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from stages.lib.io.ranges import Limit, Range


@dataclass(frozen=True)
class GraftsConfig:
    """Section `grafts` of params.yaml."""

    SECTION = "grafts"
    limit: Limit
    within: Annotated[float, Range(least=0, most=1)]
