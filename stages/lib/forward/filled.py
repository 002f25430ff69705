"""How many rows a product has, so that each row is summed alike whatever the others are.

On CPUs a product of matrices sums every row in the same order, whichever and however many the other
rows are, as long as they are more than a few: for those it has another kernel. And an activation
function has another kernel for the last few elements of each thread's share of a tensor, which may
differ in the last bit. A batch that is a little larger than it must be avoids both. On GPUs kernels
are chosen by shape all the same, and nothing is filled.
"""

import math

import torch
from torch import Tensor

from stages.lib.model.lm import LanguageModel

LEAST = 16  # rows; MKL has other kernels for fewer than 4, and with two threads fewer than 12
ROWS = 4  # rows that the attention kernel takes at once
VECTORS = 64  # elements that an elementwise kernel takes at once: four vectors of 16


def multiple(lm: LanguageModel) -> int:
    """Prompts of which a batch has a multiple."""
    if lm.device.type != "cpu":
        return 1
    config = lm.model.config.get_text_config()
    width = getattr(config, "intermediate_size", None) or 4 * lm.d_model
    return ROWS * (VECTORS // math.gcd(VECTORS, width))


def prompts(lm: LanguageModel, rows: list[int], n_tokens: int) -> list[int]:
    """Repeat the last row until rows of so many tokens are a multiple, and enough for a product."""
    least = LEAST // n_tokens if lm.device.type == "cpu" else 1
    n = math.ceil(max(len(rows), least) / multiple(lm)) * multiple(lm)
    return rows + rows[-1:] * (n - len(rows))


def enough(x: Tensor) -> Tensor:
    """Repeat the last row of a tensor until there are enough for a product."""
    n = len(x) if x.device.type != "cpu" else max(len(x), LEAST)
    return x[torch.arange(n).clamp(max=len(x) - 1)] if n > len(x) else x.contiguous()
