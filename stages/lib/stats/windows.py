"""The window of layers that a set of heads spans, as metrics record it."""

from collections.abc import Iterable
from dataclasses import dataclass

from stages.lib.patching.patch import Head


@dataclass(frozen=True)
class Window:
    """First and last layer of a window, both included; layers count from 0."""

    first_layer: int
    last_layer: int


def of(heads: Iterable[Head]) -> Window | None:
    """Return the window that some heads span; None without heads."""
    layers = [head.layer for head in heads]
    return Window(min(layers), max(layers)) if layers else None
