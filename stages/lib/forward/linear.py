"""Linear maps on CPUs in float32 by oneDNN, which torch has but uses for other dtypes alone.

On processors with AVX-512 that are not Intel's it is more than twice as fast as MKL. Each row of a
product is summed alike in any number of rows from two on, by one thread or several.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

ONEDNN: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
TORCH: Any = functional.linear


@contextmanager
def fast(device: Any) -> Generator[None]:
    """Let linear layers on a device go through oneDNN, where it is there and they can."""
    if ONEDNN is None or device.type != "cpu" or not torch.backends.mkldnn.is_available():
        yield
        return
    functional.linear = _linear
    try:
        yield
    finally:
        functional.linear = TORCH


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """As torch's; gradients of weights and other dtypes are left to torch."""
    trained = torch.is_grad_enabled() and (weight.requires_grad or _trained(bias))
    if trained or x.dtype != torch.float32 or weight.dtype != torch.float32 or not x.numel():
        return TORCH(x, weight, bias)
    return cast(Any, _Frozen).apply(x, weight, bias)


def _trained(bias: Tensor | None) -> bool:
    """Whether a bias is differentiated."""
    return bias is not None and bias.requires_grad


class _Frozen(torch.autograd.Function):
    """A linear map whose weights are not differentiated: backwards it is one too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Apply the map."""
        ctx.weight = weight
        return ONEDNN(x, weight, bias, "none", [], "")

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, None, None]:
        """Differentiate by what it was applied to."""
        (gradient,) = outputs
        return ONEDNN(gradient.contiguous(), ctx.weight.t(), None, "none", [], ""), None, None
