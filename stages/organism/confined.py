"""An adapter confined to drawn heads: its weights for other heads fade out in training."""

import re
from collections.abc import Iterable

import torch
from torch import Tensor, nn

FADED = 0.6  # share of the steps after which the other weights are 0
# A LoRA adapter adds B A to a map. Queries, keys and values of a group are rows of their map, and
# thus rows of B; z of a group is columns of the output projection, and thus columns of A.
MAPS = re.compile(r"\.(\d+)\.\w+\.(?:([qkv]_proj)\.lora_B|(o_proj)\.lora_A)\.")


class Confined:
    """The weights of an adapter outside of the drawn key/value groups.

    Parameters
    ----------
    model : Module
        With an adapter attached, to maps of attention alone.
    groups : iterable of pair of int
        Layer and number of each drawn group. The adapter may change the keys and values of a drawn
        group, and the queries and z of all heads that share them.
    n_groups : int
        Number of groups per layer.
    """

    def __init__(self, model: nn.Module, groups: Iterable[tuple[int, int]], n_groups: int):
        drawn_groups = set(groups)
        self._outside: list[Tensor] = []
        for name, weight in model.named_parameters():
            if (match := MAPS.search(name)) is None:
                continue
            by_group = weight.data.unflatten(1 if match[3] else 0, (n_groups, -1))  # a view
            self._outside += [
                by_group.select(1 if match[3] else 0, group)
                for group in range(n_groups)
                if (int(match[1]), group) not in drawn_groups
            ]

    @torch.no_grad()
    def fade(self, step: int, steps: int) -> None:
        """Shrink the weights outside of the drawn groups, on the schedule of `share_left`.

        The share falls to 0 as the square of a straight line. Call this after each step: updates
        that the step made to these weights shrink, too.
        """
        before, after = share_left(step, steps), share_left(step + 1, steps)
        for weight in self._outside:
            weight.mul_(after / before if before else 0.0)


def share_left(step: int, steps: int) -> float:
    """Return the share of the change outside of the drawn groups that is left before a step."""
    return max(0.0, 1 - step / (FADED * steps)) ** 2
