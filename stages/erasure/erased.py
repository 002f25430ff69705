"""Erased z, made of a run's own when it is to be written."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.erasure import erase
from stages.erasure.erase import Eraser, Oracle
from stages.erasure.moments import Moments
from stages.lib.io import store

CODE = Path(__file__).parent  # what makes the maps and applies them


@dataclass(frozen=True)
class Erased:
    """A `stages.lib.forward.written.Change`: one map a layer.

    Attributes
    ----------
    layers : sequence of Eraser or Oracle
        By layer.
    label : ndarray of shape (n_prompts,), bool
        Which an oracle looks at.
    names : list of bytes
        One a prompt, of all that its change depends on, code included.
    removed : float
        Squared change of z of all prompts, as a share of its variance around its mean.
    """

    layers: Sequence[Eraser | Oracle]
    label: NDArray[np.bool_]
    names: list[bytes]
    removed: float

    def __call__(self, z: Tensor, rows: list[int]) -> Tensor:
        """Erase from z of some prompts: (n_layers, n_rows, n_positions, n_heads, d_head)."""
        label = self.label[rows]
        made: list[Tensor] = []
        for one, layer in zip(self.layers, z.float().cpu(), strict=True):
            x = erase.rows(layer)
            changed = one(x, label) if isinstance(one, Oracle) else one(x)
            made.append(erase.back(changed).to(layer))
        return torch.stack(made)


def of(layers: Sequence[Eraser | Oracle], rows: list[Moments], label: NDArray[np.bool_]) -> Erased:
    """Make it of its maps, and of the moments and labels of the prompts to erase from."""
    parts = [store.code(CODE).encode(), *map(_bytes, layers)]
    seen = label if isinstance(layers[0], Oracle) else np.zeros_like(label)
    names = {value: store.digest(*parts, bytes([value])) for value in (False, True)}
    changes = (one.change(layer) for one, layer in zip(layers, rows, strict=True))
    return Erased(
        layers, label, [names[bool(value)] for value in seen], erase.removed(changes, rows)
    )


def _bytes(one: Eraser | Oracle) -> bytes:
    """Numbers of a map."""
    numbers = (getattr(one, field.name) for field in fields(one))
    return b"".join(np.asarray(number, np.float64).tobytes() for number in numbers)
