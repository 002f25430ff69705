"""What is patched in at the site: the source run's units, a change of them, or other units."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from stages.lib.io import store


class Change(Protocol):
    """A change of the source run's units before they are patched in, one batch at a time.

    The changed units of all prompts are never in memory at once, and are not needed to recall runs.
    """

    @property
    def names(self) -> list[bytes]:
        """One name per prompt: a hash of all that its change depends on except its source run.

        The hash covers numbers and code, as runs are recalled by this name.
        """
        ...

    def __call__(self, z: Tensor, rows: list[int]) -> Tensor:
        """Change units of shape (n_layers, n_rows, n_positions, n_units, width) of some prompts."""
        ...


Replacement = Tensor | Change | None
"""What is patched in: units (n_layers, n_prompts, n_positions, n_units, width), or a `Change`.

None stands for the source run's own units.
"""


def name(replacement: Replacement, row: int, source: bytes) -> bytes:
    """Hash what is patched into one prompt's run; `source` is the name of its source run."""
    if replacement is None:
        return source
    if isinstance(replacement, Tensor):
        return store.digest(replacement[:, row].contiguous().float().cpu().numpy().tobytes())
    return store.digest(source, replacement.names[row])


def first_layers(patches: np.ndarray) -> np.ndarray:
    """Return the first patched layer of each patch.

    Parameters
    ----------
    patches : ndarray of shape (n_patches, n_layers, n_units), bool
        Units of each patch, at least one.

    Returns
    -------
    ndarray of shape (n_patches,), int64
    """
    return patches.any(axis=2).argmax(axis=1)


def entries(patches: np.ndarray) -> np.ndarray:
    """Return the layers in which runs enter a shared forward: `first_layers`, which must ascend.

    Raises
    ------
    ValueError
        If they do not.
    """
    first = first_layers(patches)
    if (np.diff(first) < 0).any():
        raise ValueError("patches are not in the order of their first layers")
    return first


@torch.no_grad()
def units(replacement: Replacement, rows: list[int], source: Tensor) -> Tensor:
    """Return the units that are patched into the runs of some prompts.

    Parameters
    ----------
    replacement : Tensor, Change or None
        See `Replacement`.
    rows : list of int
        The prompts' numbers.
    source : Tensor of shape (n_layers, n_rows, n_positions, n_units, width)
        Units of their source runs.

    Returns
    -------
    Tensor of the shape, dtype and device of `source`
    """
    if replacement is None:
        return source
    chosen = replacement[:, rows] if isinstance(replacement, Tensor) else replacement(source, rows)
    return chosen.to(source)
