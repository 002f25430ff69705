"""Fill batches so that a row's result does not depend, bit by bit, on the other rows.

On CPUs a matrix product sums every row in the same order, whatever the other rows are, unless there
are very few rows, for which there is another kernel. An activation function has another kernel for
the last few elements of each thread's share of a tensor, whose results may differ in the last bit.
A batch that is slightly larger than needed avoids both. On GPUs kernels are chosen by shape anyway,
and nothing is filled.
"""

import math

import torch
from torch import Tensor

from stages.lib.model.lm import LanguageModel

LEAST = 16  # rows; MKL has other kernels for fewer than 4 rows, or 12 with two threads
ROWS = 4  # rows that the attention kernel processes at once
VECTORS = 64  # elements that an elementwise kernel processes at once: four vectors of 16


def multiple(lm: LanguageModel) -> int:
    """Return the number of which a batch size must be a multiple."""
    if lm.device.type != "cpu":
        return 1
    config = lm.model.config.get_text_config()
    width = getattr(config, "intermediate_size", None) or 4 * lm.d_model
    return ROWS * (VECTORS // math.gcd(VECTORS, width))


def prompts(lm: LanguageModel, rows: list[int], n_tokens: int) -> list[int]:
    """Repeat the last prompt until the batch is a `multiple` and has enough rows for a product."""
    n_min = LEAST // n_tokens if lm.device.type == "cpu" else 1
    n = math.ceil(max(len(rows), n_min) / multiple(lm)) * multiple(lm)
    return rows + rows[-1:] * (n - len(rows))


def fill_rows(x: Tensor) -> Tensor:
    """Repeat the last row of a tensor until there are enough rows for a product."""
    n = len(x) if x.device.type != "cpu" else max(len(x), LEAST)
    return x[torch.arange(n).clamp(max=len(x) - 1)] if n > len(x) else x.contiguous()
