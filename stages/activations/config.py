"""Section `activations` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from stages.lib.io.cli import UserError
from stages.lib.io.ranges import Range, Some


@dataclass(frozen=True)
class ActivationsConfig:
    """Section `activations` of params.yaml."""

    SECTION = "activations"
    positions: Some[Annotated[int, Range(most=-1)]]

    def __post_init__(self) -> None:
        """Require the last prompt token, which every stage that reads activations needs."""
        if -1 not in self.positions:
            raise UserError(
                f"params.yaml: activations.positions: found {list(self.positions)}, expected -1, "
                "the last prompt token, among them"
            )
