"""Section `set_sizes` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from stages.lib.io.ranges import Count, Distinct, Limit, Seed, Share


@dataclass(frozen=True)
class SetSizesConfig:
    """Section `set_sizes` of params.yaml."""

    SECTION = "set_sizes"
    limit: Limit
    search_limit: Limit
    sizes: Annotated[tuple[Count, ...], Distinct(least=0)]
    keep: Share
    within: Share
    random: Count
    seed: Seed
