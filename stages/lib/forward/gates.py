"""Patched runs with a gate per unit, from 0 to 1, with respect to which answers have gradients."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor

from stages.lib.forward import hooks, unembed
from stages.lib.forward.prompts import Prompts, Run
from stages.lib.forward.site import Z


def score(
    prompts: Prompts,
    row: int,
    base: Run,
    z: Tensor,
    gates: Tensor,
    at: Tensor,
    score: Callable[[Tensor], Tensor],
    cut: Tensor | None = None,
    direct: bool = False,
) -> Tensor:
    """Score one prompt's answer for each set of gates, differentiable with respect to the gates.

    Parameters
    ----------
    prompts : Prompts
        The prompts that are patched.
    row : int
        The prompt's number.
    base : Run
        From `prompts.run` of this row alone, with `keep`.
    z : Tensor of shape (n_layers, 1, n_tail, n_units, width)
        The activations that are patched in.
    gates : Tensor of shape (n_gates, n_layers, n_units)
        Strength of each unit's patch. A unit's activation becomes (1 - gate) * own + gate * z,
        where `own` includes the effects of earlier patches: a gate of 0 is no patch, and a gate of
        1 is the patch of `Patcher`.
    at : Tensor of shape (n_tail,), bool
        Positions that are patched.
    score : callable
        Maps logits of shape (n_gates, vocab_size) to scores of shape (n_gates,).
    cut : Tensor of shape (n_gates, n_layers, 2), bool, or None
        Attentions and MLPs through which no gradient flows: their outputs are constants.
    direct : bool
        Whether no gradient flows through any attention or MLP: their inputs are constants.

    Returns
    -------
    Tensor of shape (n_gates,)
    """
    lm, shape = prompts.lm, prompts.site.shape(prompts.lm)
    where = at.to(lm.device)[:, None, None]

    def gated(layer: int, own: Tensor) -> Tensor:
        before, tail = own[:, : -prompts.n_tail], own[:, -prompts.n_tail :]
        units, n = torch.unflatten(tail, -1, shape), tail.shape[1]  # (n_gates, n, n_units, width)
        gate = gates[:, layer].to(own)[:, None, :, None] * where[-n:]
        new = torch.lerp(units, z[layer, :, -n:].to(own).expand_as(units), gate.expand_as(units))
        return torch.cat([before, new.flatten(2)], dim=1)

    with torch.enable_grad(), ExitStack() as stack:
        if prompts.site is Z:
            stack.enter_context(hooks.last_position(lm))
        for layer in range(lm.n_layers):
            stack.enter_context(hooks.at(lm, prompts.site, layer, partial(gated, layer)))
            if cut is not None:
                stack.enter_context(_detach_outputs(prompts, layer, cut[:, layer]))
            if direct:
                stack.enter_context(_detach_inputs(prompts, layer))
        last = prompts.tail([row], base.middle, len(gates))
        return score(unembed.logits(lm, last))


def _detach_outputs(prompts: Prompts, layer: int, cut: Tensor) -> ExitStack:
    """Detach the outputs of a layer's attention and MLP in the batch rows that `cut` marks."""
    lm = prompts.lm

    def constant(chosen: Tensor, _: object, __: object, output: Tensor | tuple[Tensor, ...]) -> Any:
        x = hooks.first_output(output)
        rows = chosen.to(x.device).view(-1, *[1] * (x.dim() - 1))
        return hooks.with_first_output(output, torch.where(rows, x.detach(), x))

    stack = ExitStack()
    for modules, chosen in zip(((lm.attentions[layer],), lm.mlps[layer]), cut.T, strict=True):
        for module in modules[-1:] if bool(chosen.any()) else ():
            stack.callback(module.register_forward_hook(partial(constant, chosen)).remove)
    return stack


def _detach_inputs(prompts: Prompts, layer: int) -> ExitStack:
    """Detach the inputs of a layer's attention and MLP."""
    lm = prompts.lm

    def detached(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        return hooks.with_given(args, kwargs, hooks.given(args, kwargs).detach())

    stack = ExitStack()
    for module in (lm.attentions[layer], *lm.mlps[layer][:1]):
        stack.callback(module.register_forward_pre_hook(detached, with_kwargs=True).remove)
    return stack
