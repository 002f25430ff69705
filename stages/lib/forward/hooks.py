"""Every hook, each a context manager that removes itself."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from stages.lib.model.lm import LanguageModel


@contextmanager
def capture(lm: LanguageModel, n_tail: int) -> Iterator[dict[str, list[Tensor]]]:
    """Record z and the residual stream at the last positions, layer by layer."""
    captured: dict[str, list[Tensor]] = {"z": [], "residual": []}

    def keep(name: str, x: Tensor) -> None:
        captured[name].append(x[:, -n_tail:].clone())  # a view would hold all positions

    def read_input(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        keep("residual", args[0] if args else kwargs["hidden_states"])

    def read_output(_: Any, __: Any, output: Any) -> None:
        keep("residual", output[0] if isinstance(output, tuple) else output)

    with ExitStack() as stack:
        for layer, projection in zip(lm.layers, lm.output_projections, strict=True):
            hook = layer.register_forward_pre_hook(read_input, with_kwargs=True)
            stack.callback(hook.remove)
            hook = projection.register_forward_pre_hook(lambda _, args: keep("z", args[0]))
            stack.callback(hook.remove)
        stack.callback(lm.layers[-1].register_forward_hook(read_output).remove)
        yield captured


@contextmanager
def watch_z(lm: LanguageModel) -> Iterator[list[Tensor]]:
    """Hold on to each layer's z itself, so that a result can be differentiated by it.

    Embeddings start the graph; weights stay out of it.
    """

    def start(_: Any, __: Any, output: Tensor) -> Tensor:
        return output.detach().requires_grad_()

    watched: list[Tensor] = []
    with torch.enable_grad(), ExitStack() as stack:
        embeddings = lm.model.get_input_embeddings()
        stack.callback(embeddings.register_forward_hook(start).remove)
        for projection in lm.output_projections:
            hook = projection.register_forward_pre_hook(lambda _, args: watched.append(args[0]))
            stack.callback(hook.remove)
        yield watched


@contextmanager
def write_z(
    lm: LanguageModel, layer: int, z: Tensor, chosen: Tensor, at: Tensor | None = None
) -> Iterator[None]:
    """Overwrite the chosen heads' z at the last positions of one layer.

    `z` is (n_prompts, n_tail, n_heads, d_head), `chosen` (n_patches, n_heads), bool, `at` as in
    `mix`; rows of the batch are prompts, each with its patches one after the other.
    """

    def write(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        own = args[0]
        before, tail = own.split([own.shape[1] - z.shape[1], z.shape[1]], dim=1)
        rows = tail.unflatten(-1, (lm.n_heads, lm.d_head)).unflatten(0, (len(z), len(chosen)))
        written = mix(rows, z.to(own.device, own.dtype)[:, None], chosen, at)
        out = torch.cat([before, written.flatten(0, 1).flatten(2)], dim=1)
        return (out, *args[1:])

    handle = lm.output_projections[layer].register_forward_pre_hook(write)
    try:
        yield
    finally:
        handle.remove()


def mix(own: Tensor, other: Tensor, chosen: Tensor, at: Tensor | None = None) -> Tensor:
    """Take the chosen heads from `other`: both (n_prompts, n_patches or 1, n_tail, heads, d).

    `at`, (n_prompts, n_tail), bool, says at which positions; None at all of them.
    """
    where = chosen.to(own.device)[:, None, :, None]
    if at is not None:
        where = where & at.to(own.device)[:, None, :, None, None]
    return torch.where(where, other, own)


@contextmanager
def start_at(lm: LanguageModel, first: int, residual: Tensor) -> Iterator[None]:
    """Skip the layers below `first` and give that one `residual` as its input.

    The skipped layers still take part in transformers' loop, so that each later layer gets the
    mask and the rotary embedding that are its own.
    """

    def give(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        if args:
            return (residual.to(args[0].device), *args[1:]), kwargs
        x = kwargs["hidden_states"]
        return args, kwargs | {"hidden_states": residual.to(x.device)}

    handle = lm.layers[first].register_forward_pre_hook(give, with_kwargs=True)
    with ExitStack() as stack:
        stack.callback(handle.remove)
        for layer in lm.layers[:first]:
            stack.enter_context(stand_in(layer, _return_input))
        yield


@contextmanager
def give_z(lm: LanguageModel, layer: int, z: Tensor) -> Iterator[None]:
    """Skip a layer's attention, whose z of shape (n_rows, n_tail, n_heads, d_head) is known."""
    z = z.flatten(2)

    def attention(*_: Any, **__: Any) -> tuple[Tensor, None]:
        return lm.output_projections[layer](z), None

    with stand_in(lm.attentions[layer], attention):
        yield


@contextmanager
def last_position(lm: LanguageModel, z: bool = True) -> Iterator[None]:
    """Let the last layer's MLP, whose rows nothing reads but the last one, run on that one only.

    Its output is then added to every position alike, which is right at the last one. Where nothing
    reads `z` there either, the same holds for what makes queries and for the output projection, and
    attention is to be narrow in that layer.
    """

    def narrow(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (args[0][:, -1:].contiguous(), *args[1:])

    with ExitStack() as stack:
        if lm.last_mlp is not None:
            stack.callback(lm.last_mlp.register_forward_pre_hook(narrow).remove)
        query = getattr(lm.attentions[-1], "q_proj", None)  # None where one matrix makes q, k, v
        for projection in () if z else (lm.output_projections[-1], query):
            if projection is not None:
                stack.enter_context(stand_in(projection, _at_last(projection.forward)))
        yield


@contextmanager
def stand_in(module: Any, forward: Any) -> Iterator[None]:
    """Give a module another forward for a while."""
    # accelerate puts a forward of its own on a module of a model that is spread over devices.
    own = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        del module.forward  # the class's own method shows again
        if own is not None:
            module.forward = own


def _at_last(forward: Any) -> Any:
    """Run on the last position only, and give what that gives at every position."""
    return lambda x: forward(x[:, -1:].contiguous()).expand(-1, x.shape[1], -1)


def _return_input(hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
    """Stand in for a layer that is skipped."""
    return hidden_states
