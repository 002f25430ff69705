"""Whether the MLP's output is what a layer adds to the residual stream."""

from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor

from stages.lib.forward import hooks
from stages.lib.forward.site import MLP_OUT
from stages.lib.io.cli import UserError
from stages.lib.model.lm import LanguageModel

# Greatest difference, as a share of the largest term, that is rounding and no error.
TOLERANCE = 0.01
# … and in units of the last place of the layer's output, which has the rounding of its sum.
PLACES = 8


@torch.no_grad()
def require_sum(lm: LanguageModel, ids: list[int]) -> None:
    """Refuse a model whose MLP output is not a term of the residual stream.

    Each layer runs twice on the same input, the second time with an MLP that gives zeros. What the
    layer gives must then differ by the MLP's output, times a constant: not so where a norm comes
    after what was found to be the MLP, or where that gives more than is added, as BLOOM's does.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    ids : list of int
        A prompt.

    Raises
    ------
    UserError
        If a layer does not add it, or no MLP is found.
    """
    with ExitStack() as stack:
        for i, layer in enumerate(lm.layers):
            stack.enter_context(hooks.stand_in(layer, partial(_run, lm, i, layer.forward)))
        lm.decoder(input_ids=torch.tensor([ids], device=lm.device), use_cache=False)


def _run(lm: LanguageModel, layer: int, forward: Any, *args: Any, **kwargs: Any) -> Any:
    """Run one layer, and again without its MLP."""
    terms: list[Tensor] = []
    with hooks.at(lm, MLP_OUT, layer, terms.append):
        output = forward(*args, **kwargs)
    with hooks.at(lm, MLP_OUT, layer, torch.zeros_like):
        rest = hooks.first(forward(*args, **kwargs))
    _require(lm, layer, hooks.first(output), rest, *terms)
    return output


def _require(lm: LanguageModel, layer: int, whole: Tensor, rest: Tensor, term: Tensor) -> None:
    """Raise a UserError where `whole` is not `rest` and `term` times a constant."""
    added = (whole - rest).double().flatten()
    given = term.double().flatten()
    constant = (added @ given) / (given @ given).clamp(min=1e-300)  # an MLP may give zeros
    rounding = PLACES * torch.finfo(whole.dtype).eps * whole.abs().max()
    error = (added - constant * given).abs().max()
    if error > TOLERANCE * added.abs().max() + rounding or not rest.any():
        raise UserError(
            f"params.yaml: patch.site: mlp_out: {type(lm.model).__name__}: what its MLP gives is "
            f"not what layer {layer} adds to the residual stream; expected model.modules: mlp to "
            "name the module that gives that"
        )
