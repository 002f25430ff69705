"""Section `transfer` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from stages.lib.io.cli import UserError
from stages.lib.io.ranges import OneOf, Repeats, Seed, Some

METHODS = ("logistic", "mass_mean", "mass_mean_corrected", "ccs", "ttpd")
"""Names in `stages.transfer.estimators`, repeated because its import takes seconds."""
NEEDED = "mass_mean"
"""The required method: its directions are compared between layers, and its fits are cheapest."""


@dataclass(frozen=True)
class TransferConfig:
    """Section `transfer` of params.yaml."""

    SECTION = "transfer"
    methods: Some[Annotated[str, OneOf(*METHODS)]]
    permutations: Repeats
    seed: Seed

    def __post_init__(self) -> None:
        """Require the method `NEEDED`."""
        if NEEDED not in self.methods:
            raise UserError(
                f"params.yaml: transfer.methods: found {list(self.methods)}, expected {NEEDED!r} "
                "among them"
            )
