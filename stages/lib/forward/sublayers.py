"""What each layer adds to the residual stream given its attention's output, and the final norm.

Each layer is called on its own, at one position, with fixed outputs in place of its attention and
its other modules. All that must be known of an architecture is which module is the attention: a
scale or norm that the layer applies to an output before adding it is measured.
"""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from stages.lib.forward import budget, hooks, unembed
from stages.lib.model.lm import LanguageModel

# Largest difference that counts as rounding, as a share of the largest term.
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.05, "float16": 0.02}
SHAPING = ("norm", "dropout", "identity")  # modules of a layer that transform what is added


class Unfit(Exception):
    """The parts of this model do not add up; the message says why."""


@dataclass(frozen=True)
class Frozen:
    """A norm as a linear map with a scale s per row: ``y = s * weight * (x - mean(x)) + bias``.

    Attributes
    ----------
    weight, bias : Tensor of shape (d_model,), float64, on the CPU
        A map that is not a norm but scales each dimension also has this form, with a constant s.
    centred : bool
        Whether the mean is subtracted (LayerNorm) or not (RMSNorm).
    """

    weight: Tensor
    bias: Tensor
    centred: bool

    @classmethod
    def of(cls, apply: Callable[[Tensor], Tensor], d_model: int) -> "Frozen":
        """Measure a norm by its outputs for three vectors, two of which have scale 1."""
        ones = torch.ones(d_model, dtype=torch.float64)
        signs = ones.clone()
        signs[1::2] = -1.0  # of mean 0
        bias, flat, mixed = apply(torch.stack([0 * ones, ones, signs]))
        weight = (mixed - bias) * signs
        return cls(weight, bias, bool(_norm(flat - bias) < 1e-2 * _norm(weight)))

    def linear(self, x: Tensor) -> Tensor:
        """Apply the norm with s = 1 and no bias: (n_rows, d_model)."""
        return (x - x.mean(-1, keepdim=True) if self.centred else x) * self.weight

    def back(self, directions: Tensor) -> Tensor:
        """Map directions after the norm to directions before it: both (d_model, n_directions)."""
        turned = directions * self.weight[:, None]
        return turned - turned.mean(0) if self.centred else turned

    def scale(self, x: Tensor, y: Tensor) -> tuple[Tensor, float]:
        """Fit the scale s of each row, (n_rows,), and return the largest relative error too."""
        given, output = self.linear(x), y - self.bias
        power = given.square().sum(-1)
        s = torch.where(power > 0, (given * output).sum(-1) / power.clamp(min=1e-300), 1.0)
        size = _norm(output)
        error = _norm(output - s[:, None] * given) / size.clamp(min=1e-30)
        return s, float(torch.where(size > 1e-12, error, 0.0).max())


@dataclass
class _LayerTrace:
    """Inputs of one layer, and outputs of the layer and its modules, in a forward of one prompt."""

    given: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
    z: Any = None
    output: Any = None
    attention: Any = None
    other_outputs: dict[Any, Any] = field(default_factory=dict[Any, Any])


class Sublayers:
    """The layers of a model, each callable on its own.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    token_ids : list of list of int
        One or two prompts, on which the single layers are compared with the full model.

    Raises
    ------
    Unfit
        If a layer adds anything but the sum of its attention's and its other modules' terms.
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
        """Return what a layer adds given its attention's output, with the MLP's output set to zero.

        Parameters
        ----------
        layer : int
            Counts from 0.
        attention : Tensor of shape (n_rows, d_model)
            Output of the attention at one position.

        Returns
        -------
        Tensor of shape (n_rows, d_model), float64, on the CPU
            Includes the biases of norms that follow attention or MLP, if there are any.
        """
        zero_outputs = {  # the MLP of a mixture of experts may put all tokens on one axis
            m: _last(output).new_zeros(len(attention), *_last(output).shape[1:])
            for m, output in self._trace[layer].other_outputs.items()
        }
        return self._alone(layer, torch.zeros_like(attention), attention, zero_outputs)

    @torch.no_grad()
    def normed(self, x: Tensor) -> Tensor:
        """Apply the model's own final norm to the residual stream: both (n_rows, d_model)."""
        lm, output = self.lm, self._trace[-1].output
        x = x[:, None].to(_last(output))
        ids = torch.zeros(len(x), 1, dtype=torch.long, device=lm.device)
        with ExitStack() as stack:
            for layer in lm.layers:
                stack.enter_context(
                    hooks.stand_in(
                        layer, hooks.constant_forward(hooks.with_first_output(output, x))
                    )
                )
            decoder = lm.decoder
            return decoder(input_ids=ids, use_cache=False).last_hidden_state[:, -1]

    def final(self) -> Frozen:
        """Measure the final norm."""
        return Frozen.of(lambda x: _double(self.normed(x)), self.lm.d_model)

    def branch(self, layer: int) -> Frozen:
        """Measure what a layer applies to its attention's output before adding that output."""
        return Frozen.of(lambda x: self.added(layer, x), self.lm.d_model)

    def _alone(
        self, layer: int, x: Tensor, attention: Tensor, other_outputs: dict[Any, Tensor]
    ) -> Tensor:
        """Run one layer at one position, with the outputs of all its modules given."""
        trace, lm = self._trace[layer], self.lm
        like = _last(trace.attention)
        args, kwargs = trace.given
        x, attention = (t[:, None].to(like.device, like.dtype) for t in (x, attention))
        args, kwargs = hooks.with_given(args, kwargs, x)
        with ExitStack() as stack:
            given = {lm.attentions[layer]: hooks.with_first_output(trace.attention, attention)}
            given |= {
                m: hooks.with_first_output(trace.other_outputs[m], output)
                for m, output in other_outputs.items()
            }
            for module, output in given.items():
                stand_in = hooks.stand_in(module, hooks.constant_forward(output))
                stack.enter_context(stand_in)
            return _double(_last(lm.layers[layer](*args, **kwargs))).flatten(1)

    @torch.no_grad()
    def _check(self, ids: list[int]) -> None:
        """Compare each layer's addition on one prompt with the sum of its modules' terms."""
        lm = self.lm
        with _watch(lm) as trace:
            tokens = torch.tensor([ids], device=lm.device)
            logits = lm.model(input_ids=tokens, use_cache=False).logits[:, -1]
        self._trace = trace
        zero = torch.zeros(1, lm.d_model)
        for i, layer in enumerate(trace):
            args, kwargs = layer.given
            x = _double(_last(hooks.given(args, kwargs))).flatten(1)
            attention = _last(layer.attention).flatten(1)
            other_outputs = {m: _last(output) for m, output in layer.other_outputs.items()}
            projected = _last(lm.output_projections[i](layer.z)).flatten(1)
            where = f"layer {i}"
            self._compare(
                f"{where}: attention is not its output projection of z", projected, attention
            )
            baseline = self._alone(
                i, zero, zero, {m: output * 0 for m, output in other_outputs.items()}
            )
            separate = [self.added(i, attention), self._alone(i, zero, zero, other_outputs)]
            added = sum(separate) - baseline
            true_addition = _double(_last(layer.output)).flatten(1) - x
            self._compare(f"{where} does more than add attention and MLP", added, true_addition, x)
        last = _last(trace[-1].output).flatten(1)
        recomputed = unembed.logits(lm, self.normed(last))
        self._compare("the decoder does more than its layers", recomputed, logits)

    def _compare(self, failure: str, got: Tensor, expected: Tensor, *of: Tensor) -> None:
        """Raise Unfit if two tensors differ by more than rounding of the largest term."""
        got, expected = _double(got), _double(expected)
        # A layer's addition is the difference of two outputs, and carries the rounding of both.
        rounding = sum(torch.finfo(self.lm.model.dtype).eps * t.abs().max() for t in of)
        largest = expected.abs().max()
        if (got - expected).abs().max() > self.tolerance * largest + 8 * rounding:
            gap = (got - expected).abs().max() / largest
            raise Unfit(f"{failure} (a difference of {gap:.2g})")


@contextmanager
def _watch(lm: LanguageModel) -> Generator[list[_LayerTrace]]:
    """Record the inputs of each layer, and the outputs of the layer and its modules."""
    trace = [_LayerTrace() for _ in lm.layers]
    with ExitStack() as stack:
        for i, (layer, layer_trace) in enumerate(zip(lm.layers, trace, strict=True)):

            def given(
                _: Any, args: Any, kwargs: Any, layer_trace: _LayerTrace = layer_trace
            ) -> None:
                layer_trace.given = (args, kwargs)

            def keep(
                module: Any,
                args: Any,
                output: Any,
                layer_trace: _LayerTrace = layer_trace,
                i: int = i,
            ) -> None:
                if module is lm.layers[i]:
                    layer_trace.output = output
                elif module is lm.attentions[i]:
                    layer_trace.attention = output
                elif module is lm.output_projections[i]:
                    layer_trace.z = args[0]
                else:
                    layer_trace.other_outputs[module] = output

            hook = layer.register_forward_pre_hook(given, with_kwargs=True)
            stack.callback(hook.remove)
            children = [m for m in layer.children() if not _shapes_output(m)]
            for module in {layer, lm.attentions[i], lm.output_projections[i], *children}:
                stack.callback(module.register_forward_hook(keep).remove)
        yield trace


def _shapes_output(module: Any) -> bool:
    """Return whether a module only transforms what a layer adds (a norm or dropout)."""
    return any(name in type(module).__name__.lower() for name in SHAPING)


def _last(output: Any) -> Tensor:
    """Return the last position of a module's first output: (1, 1, width), or (1, width) if 2-D."""
    x = hooks.first_output(output)
    return x[:, -1:] if x.dim() == 3 else x[-1:]


def _norm(x: Tensor) -> Tensor:
    """Return the Euclidean norm of each row."""
    return x.square().sum(-1).sqrt()


def _double(x: Tensor) -> Tensor:
    """Return a float64 copy on the CPU, where terms are added up."""
    return x.to("cpu", torch.float64)
