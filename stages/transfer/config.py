"""Section `transfer` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from stages.lib.io.cli import UserError
from stages.lib.io.ranges import OneOf, Repeats, Seed, Some

METHODS = ("logistic", "mass_mean", "mass_mean_corrected", "ccs", "ttpd")
"""Names of `stages.transfer.estimators`, which takes seconds to import."""
NEEDED = "mass_mean"
"""Its directions are compared between layers, and its fits are cheapest."""


@dataclass(frozen=True)
class TransferConfig:
    """Section `transfer` of params.yaml."""

    methods: Some[Annotated[str, OneOf(*METHODS)]]
    permutations: Repeats
    seed: Seed

    def __post_init__(self) -> None:
        """Refuse to leave out the method that others are compared with."""
        if NEEDED not in self.methods:
            raise UserError(
                f"params.yaml: transfer.methods: found {list(self.methods)}, expected {NEEDED!r} "
                "among them"
            )
