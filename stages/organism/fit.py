"""Checks that a recipe fits the model, before hours of training."""

from typing import Any

from torch import nn

from stages.lib.io.cli import UserError
from stages.lib.weights.recipe import Confined, Recipe

OF_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
"""Maps whose rows or columns belong to heads, so that an adapter can be confined to some heads."""


def require(model: nn.Module, name: str, recipe: Recipe) -> None:
    """Refuse a recipe with layers or linear maps that the model does not have.

    Parameters
    ----------
    model : Module
        The model that the adapter will be attached to.
    name : str
        Name of the recipe.
    recipe : Recipe

    Raises
    ------
    UserError
        If the last layer is beyond the model, a layer lacks one of the maps, or an adapter that is
        confined to heads has maps outside of attention.
    """
    where = f"params.yaml: organisms.{name}"
    layers = _layers(model)
    if recipe.layers[1] >= len(layers):
        raise UserError(
            f"{where}.layers: found {list(recipe.layers)}, expected layers from 0 to "
            f"{len(layers) - 1}"
        )
    for layer in recipe.span:
        names = [
            path.rpartition(".")[2]
            for path, module in layers[layer].named_modules()
            if isinstance(module, nn.Linear)
        ]
        for linear_map in recipe.maps:
            if linear_map not in names:
                raise UserError(
                    f"{where}.maps: found {linear_map}, expected linear maps of layer {layer}: "
                    f"{', '.join(names)}"
                )
    outside = [m for m in recipe.maps if m not in OF_ATTENTION]
    if isinstance(recipe, Confined) and outside:
        raise UserError(
            f"{where}.maps: found {outside[0]}, which belongs to no head, expected some of "
            f"{', '.join(OF_ATTENTION)} with `groups`"
        )


def _layers(model: Any) -> Any:
    """Return the layers of a model."""
    return model.get_decoder().layers
