"""Where in a layer a forward pass is read and patched."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stages.lib.io.cli import UserError
from stages.lib.model.lm import LanguageModel


@dataclass(frozen=True)
class Site:
    """A tensor that every layer has, cut into units that are patched one by one.

    Attributes
    ----------
    name : str
        What params.yaml calls it.
    is_input : bool
        Whether it is what a module takes, or what it gives.
    makers : callable
        From a model and a layer to the modules that need not run where the tensor is known. The
        last one gives the tensor; where the tensor is an input, it is the one that takes it.
    shape : callable
        From a model to its units per layer and the width of a unit. Units stand side by side in
        the tensor.
    """

    name: str
    is_input: bool
    makers: Callable[[LanguageModel, int], tuple[Any, ...]]
    shape: Callable[[LanguageModel], tuple[int, int]]

    def module(self, lm: LanguageModel, layer: int) -> Any:
        """The module that takes the tensor, or gives it."""
        return self.makers(lm, layer)[-1]


def _mlp(lm: LanguageModel, layer: int) -> tuple[Any, ...]:
    """MLP of a layer, and the norm after it where there is one."""
    if not lm.mlps[layer]:
        parts = ", ".join(name for name, _ in lm.layers[layer].named_children())
        raise UserError(
            f"params.yaml: patch.site: mlp_out: {type(lm.model).__name__}: no MLP found in layer "
            f"{layer}, expected its name in model.modules: mlp; the layer has {parts}"
        )
    return lm.mlps[layer]


def _whole(lm: LanguageModel) -> tuple[int, int]:
    """One unit, as wide as the residual stream."""
    return 1, lm.d_model


Z = Site(
    "z",
    True,
    lambda lm, layer: (lm.attentions[layer], lm.output_projections[layer]),
    lambda lm: (lm.n_heads, lm.d_head),
)
"""What a layer's attention heads give: the input of the output projection, a unit per head."""
MLP_OUT = Site("mlp_out", False, _mlp, _whole)
"""What a layer's MLP adds to the residual stream: after the norm that follows the MLP in some
architectures, and before the constant that some multiply all that they add with (Granite)."""
RESID_POST = Site("resid_post", False, lambda lm, layer: (lm.layers[layer],), _whole)
"""The residual stream after a layer."""

SITES = {site.name: site for site in (Z, MLP_OUT, RESID_POST)}
