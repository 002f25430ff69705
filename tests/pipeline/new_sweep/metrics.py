"""What metrics/single_layers.json holds, and what the report says of it."""

from dataclasses import dataclass

from stages.lib.claim import Check, Claim, above, number
from stages.lib.stats.run_points import Point


@dataclass(frozen=True)
class SingleLayersMetrics:
    """The best layer, and what it does.

    Attributes
    ----------
    best : int or None
        The layer with the highest p_correct on the selection split; None without a statement.
    patched, base : Point
        The base run with z of this layer, and without, on the report split.
    """

    best: int | None
    patched: Point
    base: Point

    def claim(self) -> Claim:
        """One layer alone carries the lie."""
        says = (
            f"z of all heads of layer {self.best}, chosen on other statements: accuracy "
            f"{number(self.patched)}; without it {number(self.base)}."
        )
        checks = [Check(above(self.patched, 0.5), says)]
        return Claim("One layer alone carries the lie", checks, ("single_layers.png",))
