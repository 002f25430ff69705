"""All hooks on the model, as context managers that remove them on exit."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.functional import pad

from stages.lib.forward import filled
from stages.lib.forward.attention import KeptKeys
from stages.lib.forward.site import Site, Z
from stages.lib.model.lm import LanguageModel


@contextmanager
def at(
    lm: LanguageModel, site: Site, layer: int, do: Callable[[Tensor], Tensor | None]
) -> Generator[None]:
    """Pass a layer's tensor at the site to `do`, which may return a replacement."""

    def before(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        new = do(args[0])
        return None if new is None else (new, *args[1:])

    def after(_: Any, __: Any, output: Any) -> Any:
        new = do(first_output(output))
        return None if new is None else with_first_output(output, new)

    module = site.module(lm, layer)
    add = module.register_forward_pre_hook if site.is_input else module.register_forward_hook
    handle = add(before if site.is_input else after)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def capture(lm: LanguageModel, n_tail: int, site: Site = Z) -> Generator[dict[str, list[Tensor]]]:
    """Record the site and the residual stream of each layer at the last positions.

    Zeros stand in front of rows with fewer positions.
    """
    captured: dict[str, list[Tensor]] = {"z": [], "residual": []}

    def keep(name: str, x: Tensor) -> None:
        tail = x[:, -n_tail:].clone()  # a view would keep all positions in memory
        captured[name].append(pad(tail, (0, 0, n_tail - tail.shape[1], 0)))

    def read_input(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        keep("residual", given(args, kwargs))

    def read_output(_: Any, __: Any, output: Any) -> None:
        keep("residual", first_output(output))

    with ExitStack() as stack:
        for i, layer in enumerate(lm.layers):
            hook = layer.register_forward_pre_hook(read_input, with_kwargs=True)
            stack.callback(hook.remove)
            stack.enter_context(at(lm, site, i, partial(keep, "z")))
        stack.callback(lm.layers[-1].register_forward_hook(read_output).remove)
        yield captured


@contextmanager
def watch(lm: LanguageModel, site: Site = Z) -> Generator[list[Tensor]]:
    """Collect each layer's tensor at the site, for gradients with respect to it.

    The graph starts at the embeddings and leaves out the weights.
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
    known: tuple[Tensor, Tensor] | None = None,
) -> Generator[None]:
    """Overwrite the chosen units at the last positions of one layer.

    `z` is (n_prompts, n_tail, n_units, width), `chosen` is (n_patches, n_units), bool, and `where`
    is as in `mix`. Rows of the batch are prompts, each with its patches in adjacent rows; if there
    are fewer rows, they are those of the first patches. `known` is a mask of patches, and the
    tensor of the shape of `z` that stands for their other units.
    """
    n_tail = z.shape[1]

    def written(own: Tensor) -> Tensor:
        before, tail = own[:, :-n_tail], own[:, -n_tail:]  # one position after `last_position`
        n, other = len(own) // len(z), z.to(own.device, own.dtype)[:, None]
        rows = torch.unflatten(torch.unflatten(tail, -1, site.shape(lm)), 0, (len(z), n))
        if known is not None:
            is_known = known[0][:n, None, None, None].to(own.device)
            rows = torch.where(is_known, known[1].to(other)[:, None], rows)
        new = mix(rows, other, chosen[:n], where)
        return torch.cat([before, new.flatten(0, 1).flatten(2)], dim=1)

    with at(lm, site, layer, written):
        yield


def mix(own: Tensor, other: Tensor, chosen: Tensor, where: Tensor | None = None) -> Tensor:
    """Take the chosen units from `other`: both (n_prompts, n_patches or 1, n_tail, n_units, width).

    `where`, (n_prompts, n_tail), bool, marks the patched positions; None patches all of them.
    """
    mask = chosen.to(own.device)[:, None, :, None]
    if where is not None:
        mask = mask & where.to(own.device)[:, None, :, None, None]
    return torch.where(mask, other, own)


@contextmanager
def start_at(layers: Sequence[Any], start: int, residual: Tensor) -> Generator[None]:
    """Skip the decoder layers below `start`, and give layer `start` the input `residual`.

    The skipped layers still take part in transformers' loop, so that each later layer gets its own
    mask and rotary embedding.
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
def on_first_patches(layer: Any, n_patches: int, n_first: int) -> Generator[None]:
    """Run a layer for the first of each prompt's patches only; other rows pass unchanged."""
    forward = layer.forward

    def first(x: Any, n_rows: int) -> Any:
        if isinstance(x, KeptKeys):
            return replace(x, n_patches=n_first)
        if isinstance(x, tuple):
            return tuple(first(part, n_rows) for part in cast(tuple[Any, ...], x))
        if isinstance(x, Tensor) and x.dim() > 1 and len(x) == n_rows:
            return torch.unflatten(x, 0, (-1, n_patches))[:, :n_first].flatten(0, 1)
        return x

    def run(*args: Any, **kwargs: Any) -> Any:
        x = given(args, kwargs)
        chosen = {name: first(value, len(x)) for name, value in kwargs.items()}
        output = forward(*first(args, len(x)), **chosen)
        new = torch.unflatten(first_output(output), 0, (-1, n_first))
        rest = torch.unflatten(x.to(new.device), 0, (-1, n_patches))[:, n_first:]
        return with_first_output(output, torch.cat([new, rest], dim=1).flatten(0, 1))

    if n_first == n_patches:
        yield
        return
    with stand_in(layer, run):
        yield


@contextmanager
def give(lm: LanguageModel, layer: int, z: Tensor, site: Site = Z) -> Generator[None]:
    """Skip the modules that compute a layer's tensor, and use the known `z` instead.

    `z` is (n_rows, n_tail, n_units, width).
    """
    z = z.flatten(2)

    def known_output(*args: Any, **kwargs: Any) -> Tensor:
        return z.to(given(args, kwargs).device)

    def attention(*_: Any, **__: Any) -> tuple[Tensor, None]:
        return lm.output_projections[layer](z), None

    makers = (lm.attentions[layer],) if site is Z else site.makers(lm, layer)
    with ExitStack() as stack:
        for module in makers:
            stack.enter_context(stand_in(module, attention if site is Z else known_output))
        yield


@contextmanager
def last_position(lm: LanguageModel, z: bool = True) -> Generator[None]:
    """Run the last layer's MLP at the last position only, the only one that is read.

    Its output is then added at every position, which is correct at the last one. If `z` is False,
    z of the last layer is read at the last position only, too: the query and output projections
    also run at that position only, and attention must be narrow in that layer.
    """
    with ExitStack() as stack:
        if lm.last_mlp is not None:
            stack.enter_context(stand_in(lm.last_mlp, _at_last(lm.last_mlp.forward)))
        query = getattr(lm.attentions[-1], "q_proj", None)  # None if one matrix makes q, k and v
        for projection in () if z else (lm.output_projections[-1], query):
            if projection is not None:
                stack.enter_context(stand_in(projection, _expanded_from_last(projection.forward)))
        yield


@contextmanager
def stand_in(module: Any, forward: Any) -> Generator[None]:
    """Replace a module's forward within the context."""
    # accelerate sets its own forward on modules of a model that is spread over devices.
    own = module.__dict__.get("forward")
    module.forward = forward
    try:
        yield
    finally:
        del module.forward  # uncovers the method of the class
        if own is not None:
            module.forward = own


def constant_forward(output: Any) -> Callable[..., Any]:
    """Make a forward that returns `output` for any input."""

    def forward(*_: Any, **__: Any) -> Any:
        return output

    return forward


def first_output(output: Tensor | tuple[Any, ...]) -> Tensor:
    """Return a module's first output."""
    return output[0] if isinstance(output, tuple) else output


def with_first_output(output: Tensor | tuple[Any, ...], x: Tensor) -> Any:
    """Return a module's output with the first tensor replaced by x."""
    return (x, *output[1:]) if isinstance(output, tuple) else x


def given(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Return the first input of a layer or of one of its modules: the hidden states."""
    return args[0] if args else kwargs["hidden_states"]


def with_given(
    args: tuple[Any, ...], kwargs: dict[str, Any], x: Tensor
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments with the first input replaced by x."""
    return ((x, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": x})


def _at_last(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Make a forward that runs at the last position only."""

    def run(x: Tensor, *args: Any, **kwargs: Any) -> Any:
        output = forward(filled.fill_rows(x[:, -1:]), *args, **kwargs)
        return with_first_output(output, first_output(output)[: len(x)])

    return run


def _expanded_from_last(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Make a forward that runs at the last position and repeats its output at all positions."""
    return lambda x: _at_last(forward)(x).expand(-1, x.shape[1], -1)


def _return_input(hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
    """Stand in for a skipped layer: return its input."""
    return hidden_states
