"""Section `probes` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from stages.lib.io.ranges import Count, Range, Repeats, Seed


@dataclass(frozen=True)
class ProbesConfig:
    """Section `probes` of params.yaml; `regularisation` is scikit-learn's C (inverse strength)."""

    SECTION = "probes"
    regularisation: Annotated[float, Range(above=0)]
    max_iter: Count
    permutations: Repeats
    seed: Seed
