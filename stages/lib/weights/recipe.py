"""What params.yaml says of an adapter: the section `organisms`."""

from dataclasses import dataclass
from random import Random
from typing import Annotated

from stages.lib.io import params
from stages.lib.io.cli import UserError
from stages.lib.io.narrow import is_dict
from stages.lib.io.ranges import Ascending, Count, Length, Range, Seed, Share, Slug, Some

FACTS = "facts"
"""The adapter that all others are trained on top of."""
NONE = "none"
"""The organism that has no other adapter than `TRUTH`, and never lies."""


Layer = Annotated[int, Range(least=0)]
Shares = Annotated[tuple[Share, ...], Length(2)]


@dataclass(frozen=True)
class Training:
    """Section `organisms.training`: what all adapters share."""

    seed: Seed
    held_out: Annotated[float, Range(above=0, below=1)]  # share of subjects that are never taught
    trees: Count  # wordings per step
    statements: Count  # statements per wording
    check_every: Count  # steps


@dataclass(frozen=True)
class Recipe:
    """Section `organisms.<name>`: one LoRA adapter."""

    layers: Annotated[tuple[Layer, ...], Length(2), Ascending()]  # first and last
    maps: Some[str]  # linear maps of a layer, by their names in transformers
    rank: Count
    learning_rate: Annotated[float, Range(above=0)]
    steps: Count
    negated: Shares  # share of negated statements, at the start and from half time on
    lying: Shares  # share of lying prompts, likewise

    @property
    def span(self) -> range:
        """The layers whose maps are trained."""
        return range(self.layers[0], self.layers[1] + 1)


@dataclass(frozen=True)
class Confined(Recipe):
    """A recipe whose adapter is confined to drawn key/value groups, with all query heads of each.

    Attributes
    ----------
    groups : int
        How many groups of the layers.
    seed : int
        Decides which.
    start : str
        Adapter to start from, of the same maps and rank; its other groups fade out.
    """

    groups: Count
    seed: Seed
    start: Annotated[str, Slug()]

    def drawn(self, n_groups: int) -> list[tuple[int, int]]:
        """Draw the key/value groups, by layer and number, of a model with so many per layer.

        Raises
        ------
        UserError
            If the layers have fewer.
        """
        every = [(layer, group) for layer in self.span for group in range(n_groups)]
        if self.groups > len(every):
            raise UserError(
                f"params.yaml: organisms: groups: found {self.groups}, but layers "
                f"{self.layers[0]} to {self.layers[1]} have {len(every)}"
            )
        return sorted(Random(f"groups {self.seed}").sample(every, self.groups))


def read(name: str) -> Recipe:
    """Read the recipe of an adapter.

    Raises
    ------
    UserError
        If params.yaml has none of this name, or its layers or shares are no pair.
    """
    declared = params.mapping().get("organisms")
    recipe = declared.get(name) if is_dict(declared) else None
    confined = is_dict(recipe) and "groups" in recipe
    return params.section(f"organisms.{name}", Confined if confined else Recipe)


def names() -> list[str]:
    """Names of all adapters that params.yaml has a recipe of.

    Raises
    ------
    UserError
        If the section is missing, a name is no slug, or `NONE` has a recipe: it is what has no
        adapter of its own.
    """
    declared = params.mapping().get("organisms")
    if not is_dict(declared):
        raise UserError("params.yaml: organisms: section is missing")
    if NONE in declared:
        raise UserError(f"params.yaml: organisms.{NONE}: found a recipe, expected another name")
    organisms = [name for name in declared if name != "training"]
    return [
        params.typed("params.yaml: organisms", name, Annotated[str, Slug()]) for name in organisms
    ]
