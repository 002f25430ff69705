"""Every hook, each a context manager that removes itself."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from stages.lib.forward import filled
from stages.lib.forward.site import Site, Z
from stages.lib.model.lm import LanguageModel


@contextmanager
def at(
    lm: LanguageModel, site: Site, layer: int, do: Callable[[Tensor], Tensor | None]
) -> Generator[None]:
    """Show a layer's tensor to `do`, which may return another one in its place."""

    def before(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        new = do(args[0])
        return None if new is None else (new, *args[1:])

    def after(_: Any, __: Any, output: Any) -> Any:
        new = do(first(output))
        return None if new is None else with_first(output, new)

    module = site.module(lm, layer)
    add = module.register_forward_pre_hook if site.is_input else module.register_forward_hook
    handle = add(before if site.is_input else after)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def capture(lm: LanguageModel, n_tail: int, site: Site = Z) -> Generator[dict[str, list[Tensor]]]:
    """Record the site and the residual stream at the last positions, layer by layer."""
    captured: dict[str, list[Tensor]] = {"z": [], "residual": []}

    def keep(name: str, x: Tensor) -> None:
        captured[name].append(x[:, -n_tail:].clone())  # a view would hold all positions

    def read_input(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        keep("residual", given(args, kwargs))

    def read_output(_: Any, __: Any, output: Any) -> None:
        keep("residual", first(output))

    with ExitStack() as stack:
        for i, layer in enumerate(lm.layers):
            hook = layer.register_forward_pre_hook(read_input, with_kwargs=True)
            stack.callback(hook.remove)
            stack.enter_context(at(lm, site, i, partial(keep, "z")))
        stack.callback(lm.layers[-1].register_forward_hook(read_output).remove)
        yield captured


@contextmanager
def watch(lm: LanguageModel, site: Site = Z) -> Generator[list[Tensor]]:
    """Hold on to each layer's tensor itself, so that a result can be differentiated by it.

    Embeddings start the graph; weights stay out of it.
    """

    def start(_: Any, __: Any, output: Tensor) -> Tensor:
        return output.detach().requires_grad_()

    watched: list[Tensor] = []
    with torch.enable_grad(), ExitStack() as stack:
        embeddings = lm.model.get_input_embeddings()
        stack.callback(embeddings.register_forward_hook(start).remove)
        for layer in range(lm.n_layers):
            stack.enter_context(at(lm, site, layer, watched.append))
        yield watched


@contextmanager
def write(
    lm: LanguageModel,
    layer: int,
    z: Tensor,
    chosen: Tensor,
    where: Tensor | None = None,
    site: Site = Z,
) -> Generator[None]:
    """Overwrite the chosen units at the last positions of one layer.

    `z` is (n_prompts, n_tail, n_units, width), `chosen` (n_patches, n_units), bool, `where` as in
    `mix`; rows of the batch are prompts, each with its patches one after the other.
    """
    n_tail = z.shape[1]

    def written(own: Tensor) -> Tensor:
        before, tail = own[:, :-n_tail], own[:, -n_tail:]  # one position after `last_position`
        rows = torch.unflatten(torch.unflatten(tail, -1, site.shape(lm)), 0, (len(z), len(chosen)))
        new = mix(rows, z.to(own.device, own.dtype)[:, None], chosen, where)
        return torch.cat([before, new.flatten(0, 1).flatten(2)], dim=1)

    with at(lm, site, layer, written):
        yield


def mix(own: Tensor, other: Tensor, chosen: Tensor, where: Tensor | None = None) -> Tensor:
    """Take the chosen units from `other`: both (n_prompts, n_patches or 1, n_tail, n_units, width).

    `where`, (n_prompts, n_tail), bool, says at which positions; None at all of them.
    """
    taken = chosen.to(own.device)[:, None, :, None]
    if where is not None:
        taken = taken & where.to(own.device)[:, None, :, None, None]
    return torch.where(taken, other, own)


@contextmanager
def start_at(layers: Sequence[Any], start: int, residual: Tensor) -> Generator[None]:
    """Skip the decoder layers below `start` and give that one `residual` as its input.

    The skipped layers still take part in transformers' loop, so that each later layer gets the
    mask and the rotary embedding that are its own.
    """

    def enter(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        return with_given(args, kwargs, residual.to(given(args, kwargs).device))

    handle = layers[start].register_forward_pre_hook(enter, with_kwargs=True)
    with ExitStack() as stack:
        stack.callback(handle.remove)
        for layer in layers[:start]:
            stack.enter_context(stand_in(layer, _return_input))
        yield


@contextmanager
def give(lm: LanguageModel, layer: int, z: Tensor, site: Site = Z) -> Generator[None]:
    """Skip what makes a layer's tensor, (n_rows, n_tail, n_units, width), as it is known."""
    z = z.flatten(2)

    def gives(*args: Any, **kwargs: Any) -> Tensor:
        return z.to(given(args, kwargs).device)

    def attention(*_: Any, **__: Any) -> tuple[Tensor, None]:
        return lm.output_projections[layer](z), None

    makers = (lm.attentions[layer],) if site is Z else site.makers(lm, layer)
    with ExitStack() as stack:
        for module in makers:
            stack.enter_context(stand_in(module, attention if site is Z else gives))
        yield


@contextmanager
def last_position(lm: LanguageModel, z: bool = True) -> Generator[None]:
    """Let the last layer's MLP, whose rows nothing reads but the last one, run on that one only.

    Its output is then added to every position alike, which is right at the last one. Where nothing
    reads `z` there either, the same holds for what makes queries and for the output projection, and
    attention is to be narrow in that layer.
    """
    with ExitStack() as stack:
        if lm.last_mlp is not None:
            stack.enter_context(stand_in(lm.last_mlp, _at_last(lm.last_mlp.forward)))
        query = getattr(lm.attentions[-1], "q_proj", None)  # None where one matrix makes q, k, v
        for projection in () if z else (lm.output_projections[-1], query):
            if projection is not None:
                stack.enter_context(stand_in(projection, _everywhere(projection.forward)))
        yield


@contextmanager
def stand_in(module: Any, forward: Any) -> Generator[None]:
    """Give a module another forward for a while."""
    # accelerate puts a forward of its own on a module of a model that is spread over devices.
    own = module.__dict__.get("forward")
    module.forward = forward
    try:
        yield
    finally:
        del module.forward  # the class's own method shows again
        if own is not None:
            module.forward = own


def always(output: Any) -> Callable[..., Any]:
    """Make a forward that gives the same whatever it is given."""

    def forward(*_: Any, **__: Any) -> Any:
        return output

    return forward


def first(output: Tensor | tuple[Any, ...]) -> Tensor:
    """A module's first output."""
    return output[0] if isinstance(output, tuple) else output


def with_first(output: Tensor | tuple[Any, ...], x: Tensor) -> Any:
    """A module's output with another tensor first."""
    return (x, *output[1:]) if isinstance(output, tuple) else x


def given(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """What a layer or a module of one is given first, by whatever name."""
    return args[0] if args else kwargs["hidden_states"]


def with_given(
    args: tuple[Any, ...], kwargs: dict[str, Any], x: Tensor
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same arguments with another tensor first."""
    return ((x, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": x})


def _at_last(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Run on the last position only."""

    def run(x: Tensor, *args: Any, **kwargs: Any) -> Any:
        output = forward(filled.enough(x[:, -1:]), *args, **kwargs)
        return with_first(output, first(output)[: len(x)])

    return run


def _everywhere(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Run on the last position only, and give what that gives at every position."""
    return lambda x: _at_last(forward)(x).expand(-1, x.shape[1], -1)


def _return_input(hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
    """Stand in for a layer that is skipped."""
    return hidden_states
