"""What patched runs write at the site: the source run's units, changed or not, or others."""

from typing import Protocol

import torch
from torch import Tensor

from stages.lib.io import store


class Change(Protocol):
    """What is made of the source run's units before they are written, a batch at a time.

    Nothing holds what is written into all prompts at once, and runs are remembered without it.
    """

    @property
    def names(self) -> list[bytes]:
        """One a prompt: a hash of all that its change depends on, but for its source run.

        Numbers and code alike: a run is recalled by this name.
        """
        ...

    def __call__(self, z: Tensor, rows: list[int]) -> Tensor:
        """Change units of shape (n_layers, n_rows, n_positions, n_units, width) of some prompts."""
        ...


Written = Tensor | Change | None
"""Units (n_layers, n_prompts, n_positions, n_units, width), or what is made of the source's.

None is the source's own.
"""


def name(written: Written, row: int, source: bytes) -> bytes:
    """Hash what is written into one prompt's run; `source` names its source run."""
    if written is None:
        return source
    if isinstance(written, Tensor):
        return store.digest(written[:, row].contiguous().float().cpu().numpy().tobytes())
    return store.digest(source, written.names[row])


@torch.no_grad()
def units(written: Written, rows: list[int], source: Tensor) -> Tensor:
    """Give what is written into the runs of some prompts, where `source` is.

    Parameters
    ----------
    written : Tensor, Change or None
        See `Written`.
    rows : list of int
        The prompts.
    source : Tensor of shape (n_layers, n_rows, n_positions, n_units, width)
        Units of their source runs.

    Returns
    -------
    Tensor of the shape and type of `source`
    """
    if written is None:
        return source
    chosen = written[:, rows] if isinstance(written, Tensor) else written(source, rows)
    return chosen.to(source)
