"""An adapter confined to drawn heads: what it changes elsewhere fades out in training."""

import re
from collections.abc import Iterable

import torch
from torch import Tensor, nn

FADED = 0.6  # share of the steps after which nothing is left elsewhere
# A LoRA adapter adds B A to a map. Queries, keys and values of a group are rows of their map, and
# so of B; z of a group is columns of the output projection, and so of A.
MAPS = re.compile(r"\.(\d+)\.\w+\.(?:([qkv]_proj)\.lora_B|(o_proj)\.lora_A)\.")


class Confined:
    """The weights of an adapter outside of some key/value groups.

    Parameters
    ----------
    model : Module
        With an adapter attached, to maps of attention alone.
    groups : iterable of pair of int
        Layer and number of each group that is to be changed: the keys and values of the group, and
        the queries and z of all heads that share them.
    n_groups : int
        Groups per layer.
    """

    def __init__(self, model: nn.Module, groups: Iterable[tuple[int, int]], n_groups: int):
        allowed = set(groups)
        self._outside: list[Tensor] = []
        for name, weight in model.named_parameters():
            if (found := MAPS.search(name)) is None:
                continue
            cut = weight.data.unflatten(1 if found[3] else 0, (n_groups, -1))  # a view
            self._outside += [
                cut.select(1 if found[3] else 0, group)
                for group in range(n_groups)
                if (int(found[1]), group) not in allowed
            ]

    @torch.no_grad()
    def fade(self, step: int, steps: int) -> None:
        """Shrink what was left elsewhere at the end of the step before to what is left now.

        It ends at 0, slowly: the square of a straight line. Call it after each step; it takes what
        the step has added away with it.
        """
        before, now = left(step, steps), left(step + 1, steps)
        for weight in self._outside:
            weight.mul_(now / before if before else 0.0)


def left(step: int, steps: int) -> float:
    """Share of the change elsewhere that is left before a step."""
    return max(0.0, 1 - step / (FADED * steps)) ** 2
