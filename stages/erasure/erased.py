"""Erased z, computed from a run's own z when it is patched in."""

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

CODE = Path(__file__).parent  # the code that makes and applies the maps


@dataclass(frozen=True)
class Erased:
    """A `stages.lib.forward.written.Change`: one map per layer.

    Attributes
    ----------
    layers : sequence of Eraser or Oracle
        The maps, one per layer.
    label : ndarray of shape (n_prompts,), bool
        Labels of the prompts; only an oracle uses them.
    names : list of bytes
        One digest per prompt, of all that its change depends on, code included.
    removed : float
        Squared change of all prompts' z, as a share of z's variance around its mean.
    """

    layers: Sequence[Eraser | Oracle]
    label: NDArray[np.bool_]
    names: list[bytes]
    removed: float

    def __call__(self, z: Tensor, rows: list[int]) -> Tensor:
        """Erase from z of some prompts: (n_layers, n_rows, n_positions, n_heads, d_head)."""
        label = self.label[rows]
        outputs: list[Tensor] = []
        for layer_map, layer in zip(self.layers, z.float().cpu(), strict=True):
            x = erase.rows(layer)
            changed = layer_map(x, label) if isinstance(layer_map, Oracle) else layer_map(x)
            outputs.append(erase.from_rows(changed).to(layer))
        return torch.stack(outputs)


def of(layers: Sequence[Eraser | Oracle], rows: list[Moments], label: NDArray[np.bool_]) -> Erased:
    """Make an `Erased` of maps, and of the moments and labels of the prompts to erase from."""
    parts = [store.code(CODE).encode(), *map(_bytes, layers)]
    used_label = label if isinstance(layers[0], Oracle) else np.zeros_like(label)
    names = {value: store.digest(*parts, bytes([value])) for value in (False, True)}
    changes = (layer_map.change(layer) for layer_map, layer in zip(layers, rows, strict=True))
    return Erased(
        layers, label, [names[bool(value)] for value in used_label], erase.removed(changes, rows)
    )


def _bytes(layer_map: Eraser | Oracle) -> bytes:
    """Bytes of a map's numbers."""
    numbers = (getattr(layer_map, field.name) for field in fields(layer_map))
    return b"".join(np.asarray(number, np.float64).tobytes() for number in numbers)
