"""Section `patch` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from stages.lib.io.cli import UserError
from stages.lib.io.params import PERSONA
from stages.lib.io.ranges import Count, OneOf

SITES = ("z", "mlp_out", "resid_post")
"""Names in `forward.site.SITES`, not imported from there: importing PyTorch takes seconds."""


@dataclass(frozen=True)
class PatchConfig:
    """Section `patch` of params.yaml."""

    SECTION = "patch"
    source: Annotated[str, PERSONA]
    base: Annotated[str, PERSONA]
    positions: Count
    site: Annotated[str, OneOf(*SITES)] = "z"

    def __post_init__(self) -> None:
        """Refuse one persona in both roles: such a patch would change nothing."""
        if self.source == self.base:
            raise UserError(
                f"params.yaml: patch.source and patch.base: both are {self.base!r}, expected two "
                "personas"
            )

    @property
    def personas(self) -> dict[str, str]:
        """The persona that gives z, and the persona whose run is patched, as columns of tables."""
        return {"source": self.source, "base": self.base}

    def require_z(self, stage: str) -> None:
        """Refuse a site other than z in a stage that is only defined for z.

        Parameters
        ----------
        stage : str
            Name of the stage.

        Raises
        ------
        UserError
            If section `patch` names another site.
        """
        if self.site != "z":
            raise UserError(
                f"params.yaml: patch.site: found {self.site!r}, expected 'z' in stage `{stage}`, "
                "which is about heads"
            )
