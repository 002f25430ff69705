"""A window: consecutive layers of the model."""

from collections.abc import Iterable
from dataclasses import dataclass

from stages.lib.patching.patch import Head


@dataclass(frozen=True)
class Window:
    """First and last layer of a window, both included; layers count from 0."""

    first_layer: int
    last_layer: int

    @property
    def layers(self) -> range:
        """Layers of the window."""
        return range(self.first_layer, self.last_layer + 1)

    @property
    def columns(self) -> dict[str, int]:
        """First and last layer, as columns of the tables of runs."""
        return {"first_layer": self.first_layer, "last_layer": self.last_layer}


def of(heads: Iterable[Head]) -> Window | None:
    """Return the window that some heads span; None without heads."""
    layers = [head.layer for head in heads]
    return Window(min(layers), max(layers)) if layers else None


def heads(window: Window | None, n_heads: int) -> list[Head]:
    """List all heads of a window, `n_heads` per layer; empty without a window."""
    layers = window.layers if window else ()
    return [Head(layer, head) for layer in layers for head in range(n_heads)]
