"""What params.yaml says of an adapter: the section `organisms`."""

from dataclasses import dataclass

from stages.lib import params
from stages.lib.cli import UserError

TRUTH = "truth"
"""The adapter that all others are trained on top of."""
NONE = "none"
"""The organism that has no other adapter than `TRUTH`, and never lies."""


@dataclass(frozen=True)
class Training:
    """Section `organisms.training`: what all adapters share."""

    seed: int
    held_out: float  # share of subjects that are never taught
    trees: int  # wordings a step
    statements: int  # … each with so many statements
    check_every: int  # steps

    def __post_init__(self) -> None:
        """Refuse to check never."""
        params.at_least("organisms.training.check_every", self.check_every, 1)


@dataclass(frozen=True)
class Recipe:
    """Section `organisms.<name>`: one LoRA adapter."""

    layers: tuple[int, ...]  # first and last
    maps: tuple[str, ...]  # linear maps of a layer, by their names in transformers
    rank: int
    learning_rate: float
    steps: int
    negated: tuple[float, ...]  # share of negated statements, at the start and from half time on
    lying: tuple[float, ...]  # share of lying prompts, likewise

    @property
    def span(self) -> range:
        """The layers whose maps are trained."""
        return range(self.layers[0], self.layers[1] + 1)


def read(name: str) -> Recipe:
    """Read the recipe of an adapter.

    Raises
    ------
    UserError
        If params.yaml has none of this name, or its layers or shares are no pair.
    """
    recipe = params.section(f"organisms.{name}", Recipe)
    for key in ("layers", "negated", "lying"):
        pair = getattr(recipe, key)
        if len(pair) != 2:
            raise UserError(
                f"params.yaml: organisms.{name}.{key}: found {list(pair)}, expected two numbers"
            )
    return recipe
