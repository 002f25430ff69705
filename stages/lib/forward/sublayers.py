"""What each layer adds to the residual stream for its attention's output, and the final norm.

Layers are called by themselves, at one position, with their attention and their other modules stood
in for. Nothing need be known of an architecture but which module is its attention: a scale, or a
norm of what is added, is found by what the layer does.
"""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from stages.lib.forward import budget, hooks, unembed
from stages.lib.model.lm import LanguageModel

# Greatest difference, as a share of the largest term, that is rounding and no error.
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.05, "float16": 0.02}
KEPT = ("norm", "dropout", "identity")  # modules of a layer that shape what is added


class Unfit(Exception):
    """The parts of this model do not add up; the text says why."""


@dataclass(frozen=True)
class Frozen:
    """A norm with its scale left open: ``y = s * weight * (x - mean(x)) + bias``, s by row.

    Attributes
    ----------
    weight, bias : Tensor of shape (d_model,), float64, on the CPU
        A map that is no norm, but scales each dimension, has this form too, with the same s always.
    centred : bool
        Whether the mean is taken off (LayerNorm) or not (RMSNorm).
    """

    weight: Tensor
    bias: Tensor
    centred: bool

    @classmethod
    def of(cls, apply: Callable[[Tensor], Tensor], d_model: int) -> "Frozen":
        """Find it by what the norm does to three vectors, two of which have scale 1."""
        ones = torch.ones(d_model, dtype=torch.float64)
        signs = ones.clone()
        signs[1::2] = -1.0  # of mean 0
        bias, flat, mixed = apply(torch.stack([0 * ones, ones, signs]))
        weight = (mixed - bias) * signs
        return cls(weight, bias, bool(_norm(flat - bias) < 1e-2 * _norm(weight)))

    def linear(self, x: Tensor) -> Tensor:
        """Apply it with s = 1 and no bias: (n_rows, d_model)."""
        return (x - x.mean(-1, keepdim=True) if self.centred else x) * self.weight

    def back(self, directions: Tensor) -> Tensor:
        """Directions before the norm of directions after it: both (d_model, n_directions)."""
        turned = directions * self.weight[:, None]
        return turned - turned.mean(0) if self.centred else turned

    def scale(self, x: Tensor, y: Tensor) -> tuple[Tensor, float]:
        """Scale s of each row, (n_rows,), and the largest error, as a share of the row's norm."""
        given, output = self.linear(x), y - self.bias
        power = given.square().sum(-1)
        s = torch.where(power > 0, (given * output).sum(-1) / power.clamp(min=1e-300), 1.0)
        size = _norm(output)
        error = _norm(output - s[:, None] * given) / size.clamp(min=1e-30)
        return s, float(torch.where(size > 1e-12, error, 0.0).max())


@dataclass
class _Seen:
    """What one layer was given, and what it and its modules gave, in a forward of one prompt."""

    given: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
    z: Any = None
    output: Any = None
    attention: Any = None
    others: dict[Any, Any] = field(default_factory=dict[Any, Any])


class Sublayers:
    """The layers of a model, each to be called by itself.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    token_ids : list of list of int
        A prompt or two, to compare the layers by themselves with.

    Raises
    ------
    Unfit
        If a layer does not add what its attention and its other modules give, each by itself.
    """

    def __init__(self, lm: LanguageModel, token_ids: list[list[int]]) -> None:
        self.lm = lm
        self.tolerance = TOLERANCE.get(lm.dtype, 0.05)
        for ids in token_ids:
            try:
                self._check(ids)
            except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
                if budget.is_out_of_memory(error):
                    raise
                raise Unfit(f"a layer by itself fails: {type(error).__name__}: {error}") from error

    @torch.no_grad()
    def added(self, layer: int, attention: Tensor) -> Tensor:
        """What a layer adds for this output of its attention, and nothing from its MLP.

        Parameters
        ----------
        layer : int
            Counts from 0.
        attention : Tensor of shape (n_rows, d_model)
            Its output at one position.

        Returns
        -------
        Tensor of shape (n_rows, d_model), float64, on the CPU
            With the biases of norms that come after attention or MLP, if there are any.
        """
        nothing = {m: _last(output) * 0 for m, output in self._seen[layer].others.items()}
        return self._alone(layer, torch.zeros_like(attention), attention, nothing)

    @torch.no_grad()
    def normed(self, x: Tensor) -> Tensor:
        """Final norm of the residual stream: both (n_rows, d_model); as the model gives it."""
        lm, output = self.lm, self._seen[-1].output
        x = x[:, None].to(_last(output))
        ids = torch.zeros(len(x), 1, dtype=torch.long, device=lm.device)
        with ExitStack() as stack:
            for layer in lm.layers:
                stack.enter_context(
                    hooks.stand_in(layer, hooks.always(hooks.with_first(output, x)))
                )
            decoder = lm.decoder
            return decoder(input_ids=ids, use_cache=False).last_hidden_state[:, -1]

    def final(self) -> Frozen:
        """The final norm."""
        return Frozen.of(lambda x: _double(self.normed(x)), self.lm.d_model)

    def branch(self, layer: int) -> Frozen:
        """What a layer does to its attention's output before it adds it."""
        return Frozen.of(lambda x: self.added(layer, x), self.lm.d_model)

    def _alone(self, layer: int, x: Tensor, attention: Tensor, others: dict[Any, Tensor]) -> Tensor:
        """Output of one layer at one position, all of whose modules' outputs are given."""
        seen, lm = self._seen[layer], self.lm
        like = _last(seen.attention)
        args, kwargs = seen.given
        x, attention = (t[:, None].to(like.device, like.dtype) for t in (x, attention))
        args, kwargs = hooks.with_given(args, kwargs, x)
        with ExitStack() as stack:
            given = {lm.attentions[layer]: hooks.with_first(seen.attention, attention)}
            given |= {m: hooks.with_first(seen.others[m], output) for m, output in others.items()}
            for module, output in given.items():
                stand_in = hooks.stand_in(module, hooks.always(output))
                stack.enter_context(stand_in)
            return _double(_last(lm.layers[layer](*args, **kwargs))).flatten(1)

    @torch.no_grad()
    def _check(self, ids: list[int]) -> None:
        """Compare one prompt's layers with what their modules add by themselves."""
        lm = self.lm
        with _watch(lm) as seen:
            tokens = torch.tensor([ids], device=lm.device)
            logits = lm.model(input_ids=tokens, use_cache=False).logits[:, -1]
        self._seen = seen
        zero = torch.zeros(1, lm.d_model)
        for i, layer in enumerate(seen):
            args, kwargs = layer.given
            x = _double(_last(hooks.given(args, kwargs))).flatten(1)
            attention = _last(layer.attention).flatten(1)
            others = {m: _last(output) for m, output in layer.others.items()}
            projected = _last(lm.output_projections[i](layer.z)).flatten(1)
            where = f"layer {i}"
            self._compare(
                f"{where}: attention is not its output projection of z", projected, attention
            )
            only = self._alone(i, zero, zero, {m: output * 0 for m, output in others.items()})
            both = [self.added(i, attention), self._alone(i, zero, zero, others)]
            added = sum(both) - only
            written = _double(_last(layer.output)).flatten(1) - x
            self._compare(f"{where} does more than add attention and MLP", added, written, x)
        last = _last(seen[-1].output).flatten(1)
        whole = unembed.logits(lm, self.normed(last))
        self._compare("the decoder does more than its layers", whole, logits)

    def _compare(self, what: str, got: Tensor, expected: Tensor, *of: Tensor) -> None:
        """Raise Unfit where two tensors differ by more than rounding of the largest term."""
        got, expected = _double(got), _double(expected)
        # What is added is a difference of two outputs: it has their rounding.
        rounding = sum(torch.finfo(self.lm.model.dtype).eps * t.abs().max() for t in of)
        largest = expected.abs().max()
        if (got - expected).abs().max() > self.tolerance * largest + 8 * rounding:
            gap = (got - expected).abs().max() / largest
            raise Unfit(f"{what} (a difference of {gap:.2g})")


@contextmanager
def _watch(lm: LanguageModel) -> Generator[list[_Seen]]:
    """Note what each layer is given, and what it and the modules in it give."""
    seen = [_Seen() for _ in lm.layers]
    with ExitStack() as stack:
        for i, (layer, own) in enumerate(zip(lm.layers, seen, strict=True)):

            def given(_: Any, args: Any, kwargs: Any, own: _Seen = own) -> None:
                own.given = (args, kwargs)

            def keep(module: Any, args: Any, output: Any, own: _Seen = own, i: int = i) -> None:
                if module is lm.layers[i]:
                    own.output = output
                elif module is lm.attentions[i]:
                    own.attention = output
                elif module is lm.output_projections[i]:
                    own.z = args[0]
                else:
                    own.others[module] = output

            hook = layer.register_forward_pre_hook(given, with_kwargs=True)
            stack.callback(hook.remove)
            children = [m for m in layer.children() if not _kept(m)]
            for module in {layer, lm.attentions[i], lm.output_projections[i], *children}:
                stack.callback(module.register_forward_hook(keep).remove)
        yield seen


def _kept(module: Any) -> bool:
    """Whether a module of a layer shapes what is added, and adds nothing of its own."""
    return any(name in type(module).__name__.lower() for name in KEPT)


def _last(output: Any) -> Tensor:
    """Last position of a module's first output: (1, 1, width), or (1, width) as it was given."""
    x = hooks.first(output)
    return x[:, -1:] if x.dim() == 3 else x[-1:]


def _norm(x: Tensor) -> Tensor:
    """Length of each row."""
    return x.square().sum(-1).sqrt()


def _double(x: Tensor) -> Tensor:
    """Bring numbers to where they are added up."""
    return x.to("cpu", torch.float64)
