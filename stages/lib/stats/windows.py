"""The window that some heads span, as metrics name it."""

from collections.abc import Iterable
from dataclasses import dataclass

from stages.lib.patching.patch import Head


@dataclass(frozen=True)
class Window:
    """Layers of a window, from 0, both included."""

    first_layer: int
    last_layer: int


def of(heads: Iterable[Head]) -> Window | None:
    """The window that some heads span; None without heads."""
    layers = [head.layer for head in heads]
    return Window(min(layers), max(layers)) if layers else None
