"""Section `heads` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from stages.lib.io.ranges import Limit, Range


@dataclass(frozen=True)
class HeadsConfig:
    """Section `heads` of params.yaml."""

    keep: Annotated[float, Range(above=0, most=1)]
    limit: Limit
