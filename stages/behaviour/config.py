"""Section `behaviour` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from stages.lib.io.ranges import Range

Below = Annotated[float, Range(least=0, below=1)]


@dataclass(frozen=True)
class BehaviourConfig:
    """Section `behaviour` of params.yaml; a known statement is above both thresholds."""

    SECTION = "behaviour"
    neutral: str
    known_margin: Below
    known_answer_mass: Below
