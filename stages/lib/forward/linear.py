"""Linear maps on CPUs in float32 by oneDNN, which torch has but uses for other dtypes alone.

On processors with AVX-512 that are not Intel's it is more than twice as fast as MKL. Each row of a
product is summed alike in any number of rows from two on, by one thread or several.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from stages.lib.model.lm import LanguageModel

ONEDNN: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
TORCH: Any = functional.linear


@contextmanager
def fast(lm: LanguageModel) -> Generator[None]:
    """Let the model's linear layers go through oneDNN, where it is there and they can."""
    if ONEDNN is None or lm.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        yield
        return
    functional.linear = _linear
    try:
        yield
    finally:
        functional.linear = TORCH


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """As torch's; gradients, which oneDNN's has not, and other dtypes are left to that."""
    differentiated = torch.is_grad_enabled() and x.requires_grad
    if differentiated or x.dtype != torch.float32 or weight.dtype != torch.float32 or not x.numel():
        return TORCH(x, weight, bias)
    return ONEDNN(x, weight, bias, "none", [], "")
