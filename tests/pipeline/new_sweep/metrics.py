"""What metrics/single_layers.json holds, and what the report says of it."""

from dataclasses import dataclass

from stages.lib.claim import Claim, Note, above, number
from stages.lib.stats.run_points import Point

FILE = "single_layers"
CAPTIONS = {"single_layers": "Accuracy with one layer patched, by layer."}


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
        measures = f"accuracy with z of all heads of layer {self.best} patched"
        return Claim(
            "Does patching one layer alone undo the lie?",
            "z of one layer, chosen on other statements, brings the right answers back.",
            [above(measures, self.patched, 0.5, FILE)],
            ("single_layers.png",),
            notes=[Note(f"Unpatched: {number(self.base)}.", FILE)],
        )
