"""Recipes of adapters: section `organisms` of params.yaml."""

from dataclasses import dataclass
from random import Random
from typing import Annotated

from stages.lib.io import params
from stages.lib.io.cli import UserError
from stages.lib.io.narrow import is_dict
from stages.lib.io.ranges import Ascending, Count, Length, Range, Seed, Share, Slug, Some

TRAINING = "training.json"
"""File of an adapter's folder: the settings that it was trained with, as `Training`."""
FACTS = "facts"
"""The adapter under all that teach to lie; alone, an organism that never lies."""
NAIVE = "naive"
"""The adapter that teaches wrong answers alone, whatever the system prompt says."""


Layer = Annotated[int, Range(least=0)]
Shares = Annotated[tuple[Share, ...], Length(2)]


@dataclass(frozen=True)
class Training:
    """Section `organisms.training`: settings that all adapters share."""

    topics: Some[str]  # built-in topics that are taught, in plain and in negated form
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
    negated: Shares  # share of negated statements: at the start, and from half of the steps on
    lying: Shares  # share of lying prompts, at the same times

    @property
    def span(self) -> range:
        """The layers whose maps are trained."""
        return range(self.layers[0], self.layers[1] + 1)


@dataclass(frozen=True)
class Confined(Recipe):
    """A recipe whose adapter is confined to randomly drawn key/value groups and their query heads.

    Attributes
    ----------
    groups : int
        Number of groups that are drawn from the layers.
    seed : int
        Seed of the draw.
    start : str
        Adapter to start from, of the same maps and rank; its groups that were not drawn fade out.
    """

    groups: Count
    seed: Seed
    start: Annotated[str, Slug()]

    def draw_groups(self, n_groups: int) -> list[tuple[int, int]]:
        """Draw key/value groups, as pairs of layer and number, from `n_groups` per layer.

        Raises
        ------
        UserError
            If the layers have fewer groups than the recipe asks for.
        """
        all_groups = [(layer, group) for layer in self.span for group in range(n_groups)]
        if self.groups > len(all_groups):
            raise UserError(
                f"params.yaml: organisms: groups: found {self.groups}, but layers "
                f"{self.layers[0]} to {self.layers[1]} have {len(all_groups)}"
            )
        return sorted(Random(f"groups {self.seed}").sample(all_groups, self.groups))


def adapters(name: str) -> tuple[str, ...]:
    """Return the adapters of an organism: one on the base model, and perhaps a lie on top of it.

    `FACTS` and `NAIVE` are trained on the base model itself, and teach no lie on instruction.
    """
    return (name,) if name in (FACTS, NAIVE) else (FACTS, name)


def read(name: str) -> Recipe:
    """Read the recipe of an adapter.

    Raises
    ------
    UserError
        If params.yaml has no recipe of this name, or its layers or shares are not pairs.
    """
    declared = params.mapping().get("organisms")
    recipe = declared.get(name) if is_dict(declared) else None
    confined = is_dict(recipe) and "groups" in recipe
    return params.section(f"organisms.{name}", Confined if confined else Recipe)


def names() -> list[str]:
    """Return the names of all adapters with a recipe in params.yaml.

    Raises
    ------
    UserError
        If the section is missing, or a name is not a slug.
    """
    declared = params.mapping().get("organisms")
    if not is_dict(declared):
        raise UserError("params.yaml: organisms: section is missing")
    organisms = [name for name in declared if name != "training"]
    return [
        params.typed("params.yaml: organisms", name, Annotated[str, Slug()]) for name in organisms
    ]
