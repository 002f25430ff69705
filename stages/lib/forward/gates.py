"""Runs whose patches have a strength per unit, from 0 to 1, by which answers are differentiated."""

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
    """Score one prompt's answer with each of some gates, as a graph down to the gates.

    Parameters
    ----------
    prompts : Prompts
        The prompts that are patched.
    row : int
        Which of them.
    base : Run
        What `prompts.run` kept of this row alone.
    z : Tensor of shape (n_layers, 1, n_tail, n_units, width)
        What is patched in.
    gates : Tensor of shape (n_gates, n_layers, n_units)
        Strength of each unit's patch. z of a unit becomes (1 - gate) times its own, which earlier
        patches have changed, plus gate times `z`: 0 is no patch, and 1 is that of `Patcher`.
    at : Tensor of shape (n_tail,), bool
        Positions that are patched.
    score : callable
        From logits of shape (n_gates, vocab_size) to (n_gates,).
    cut : Tensor of shape (n_gates, n_layers, 2), bool, or None
        Attentions and MLPs that gates are not to be felt through: what they add is then a constant.
    direct : bool
        Let gates be felt through no later attention or MLP at all: what these take is a constant.

    Returns
    -------
    Tensor of shape (n_gates,)
    """
    lm, shape = prompts.lm, prompts.site.shape(prompts.lm)
    where = at.to(lm.device)[:, None, None]

    def gated(layer: int, own: Tensor) -> Tensor:
        before, tail = own[:, : -prompts.n_tail], own[:, -prompts.n_tail :]
        units = torch.unflatten(tail, -1, shape)  # (n_gates, n_tail, n_units, width)
        gate = gates[:, layer].to(own)[:, None, :, None] * where
        new = torch.lerp(units, z[layer].to(own).expand_as(units), gate.expand_as(units))
        return torch.cat([before, new.flatten(2)], dim=1)

    with torch.enable_grad(), ExitStack() as stack:
        if prompts.site is Z:
            stack.enter_context(hooks.last_position(lm))
        for layer in range(lm.n_layers):
            stack.enter_context(hooks.at(lm, prompts.site, layer, partial(gated, layer)))
            if cut is not None:
                stack.enter_context(_constant(prompts, layer, cut[:, layer]))
            if direct:
                stack.enter_context(_alone(prompts, layer))
        last = prompts.tail([row], base.middle, len(gates))
        return score(unembed.logits(lm, last))


def _constant(prompts: Prompts, layer: int, cut: Tensor) -> ExitStack:
    """Let what attention and MLP of a layer add be constants in some rows of the batch."""
    lm = prompts.lm

    def constant(chosen: Tensor, _: object, __: object, output: Tensor | tuple[Tensor, ...]) -> Any:
        x = hooks.first(output)
        rows = chosen.to(x.device).view(-1, *[1] * (x.dim() - 1))
        return hooks.with_first(output, torch.where(rows, x.detach(), x))

    stack = ExitStack()
    for modules, chosen in zip(((lm.attentions[layer],), lm.mlps[layer]), cut.T, strict=True):
        for module in modules[-1:] if bool(chosen.any()) else ():
            stack.callback(module.register_forward_hook(partial(constant, chosen)).remove)
    return stack


def _alone(prompts: Prompts, layer: int) -> ExitStack:
    """Let what attention and MLP of a layer take be a constant."""
    lm = prompts.lm

    def detached(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        return hooks.with_given(args, kwargs, hooks.given(args, kwargs).detach())

    stack = ExitStack()
    for module in (lm.attentions[layer], *lm.mlps[layer][:1]):
        stack.callback(module.register_forward_pre_hook(detached, with_kwargs=True).remove)
    return stack
