"""Sites: the tensors of a layer at which activations are read and patched."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stages.lib.io.cli import UserError
from stages.lib.model.lm import LanguageModel


@dataclass(frozen=True)
class Site:
    """A tensor that every layer has, split into units that can be patched separately.

    Attributes
    ----------
    name : str
        The site's name in params.yaml.
    is_input : bool
        Whether the tensor is the input of a module; otherwise it is the output of one.
    makers : callable
        Maps a model and a layer to the modules that need not run where the tensor is known. The
        tensor is the output of the last one or, where `is_input`, its input.
    shape : callable
        Maps a model to the number of units per layer and the width of a unit. Units are adjacent
        along the tensor's last axis.
    """

    name: str
    is_input: bool
    makers: Callable[[LanguageModel, int], tuple[Any, ...]]
    shape: Callable[[LanguageModel], tuple[int, int]]

    def module(self, lm: LanguageModel, layer: int) -> Any:
        """Return the module whose input or output the tensor is."""
        return self.makers(lm, layer)[-1]


def _mlp(lm: LanguageModel, layer: int) -> tuple[Any, ...]:
    """Return the MLP of a layer, and the norm after the MLP where there is one."""
    if not lm.mlps[layer]:
        parts = ", ".join(name for name, _ in lm.layers[layer].named_children())
        raise UserError(
            f"params.yaml: patch.site: mlp_out: {type(lm.model).__name__}: no MLP found in layer "
            f"{layer}, expected its name in model.modules: mlp; the layer has {parts}"
        )
    return lm.mlps[layer]


def _one_unit(lm: LanguageModel) -> tuple[int, int]:
    """Return the shape of a site with one unit per layer, as wide as the residual stream."""
    return 1, lm.d_model


Z = Site(
    "z",
    True,
    lambda lm, layer: (lm.attentions[layer], lm.output_projections[layer]),
    lambda lm: (lm.n_heads, lm.d_head),
)
"""The outputs of a layer's heads: the input of its output projection, with one unit per head."""
MLP_OUT = Site("mlp_out", False, _mlp, _one_unit)
"""What a layer's MLP adds to the residual stream: after the norm that follows the MLP in some
architectures, and before the constant by which some (Granite) multiply every addition."""
RESID_POST = Site("resid_post", False, lambda lm, layer: (lm.layers[layer],), _one_unit)
"""The residual stream after a layer."""

SITES = {site.name: site for site in (Z, MLP_OUT, RESID_POST)}
