"""Section `patch` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from stages.lib.io.cli import UserError
from stages.lib.io.params import PERSONA
from stages.lib.io.ranges import Count


@dataclass(frozen=True)
class PatchConfig:
    """Section `patch` of params.yaml."""

    source: Annotated[str, PERSONA]
    base: Annotated[str, PERSONA]
    positions: Count

    def __post_init__(self) -> None:
        """Refuse what would run and mean nothing."""
        if self.source == self.base:
            raise UserError(
                f"params.yaml: patch.source and patch.base: both are {self.base!r}, expected two "
                "personas"
            )
