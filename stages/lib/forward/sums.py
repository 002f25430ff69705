"""Check that a layer adds its MLP's output to the residual stream."""

from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor

from stages.lib.forward import hooks
from stages.lib.forward.site import MLP_OUT
from stages.lib.io.cli import UserError
from stages.lib.model.lm import LanguageModel

# Largest difference that counts as rounding, as a share of the largest term …
TOLERANCE = 0.01
# … plus, in units in the last place (ulp), the rounding of the layer's output, which is a sum.
PLACES = 8


@torch.no_grad()
def require_sum(lm: LanguageModel, ids: list[int]) -> None:
    """Refuse a model whose MLP output is not a term of the residual stream.

    Each layer runs twice on the same input, the second time with the MLP's output set to zero. The
    two outputs of the layer must differ by the MLP's output times a constant. They do not where a
    norm follows the module that was found as the MLP, or where that module's output holds more than
    is added to the residual stream, as BLOOM's does.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    ids : list of int
        A prompt.

    Raises
    ------
    UserError
        If a layer does not add its MLP's output, or no MLP is found.
    """
    with ExitStack() as stack:
        for i, layer in enumerate(lm.layers):
            stack.enter_context(hooks.stand_in(layer, partial(_run, lm, i, layer.forward)))
        lm.decoder(input_ids=torch.tensor([ids], device=lm.device), use_cache=False)


def _run(lm: LanguageModel, layer: int, forward: Any, *args: Any, **kwargs: Any) -> Any:
    """Run one layer as it is and again without its MLP; return the first output."""
    terms: list[Tensor] = []
    with hooks.at(lm, MLP_OUT, layer, terms.append):
        output = forward(*args, **kwargs)
    with hooks.at(lm, MLP_OUT, layer, torch.zeros_like):
        without_mlp = hooks.first_output(forward(*args, **kwargs))
    _require_term(lm, layer, hooks.first_output(output), without_mlp, *terms)
    return output


def _require_term(
    lm: LanguageModel, layer: int, layer_output: Tensor, without_mlp: Tensor, term: Tensor
) -> None:
    """Raise a UserError unless `layer_output` is `without_mlp` plus a constant times `term`."""
    added = (layer_output - without_mlp).double().flatten()
    mlp_output = term.double().flatten()
    # An MLP's output may be all zeros.
    constant = (added @ mlp_output) / (mlp_output @ mlp_output).clamp(min=1e-300)
    rounding = PLACES * torch.finfo(layer_output.dtype).eps * layer_output.abs().max()
    error = (added - constant * mlp_output).abs().max()
    if error > TOLERANCE * added.abs().max() + rounding or not without_mlp.any():
        raise UserError(
            f"params.yaml: patch.site: mlp_out: {type(lm.model).__name__}: its MLP's output is not "
            f"what layer {layer} adds to the residual stream; expected model.modules: mlp to name "
            "the module whose output is added"
        )
