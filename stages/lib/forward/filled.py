"""How many rows a batch has, so that each row is summed alike whatever the others are.

On CPUs a product of matrices sums every row in the same order, whichever and however many the other
rows are, as long as they are more than a few: for those it has another kernel. And an activation
function has another kernel for the last few elements of each thread's share of a tensor, which may
differ in the last bit. A batch that is a little larger than it must be avoids both. On GPUs kernels
are chosen by shape all the same, and nothing is filled.
"""

import math

import numpy as np

from stages.lib.model.lm import LanguageModel

LEAST = 16  # rows; MKL has other kernels for fewer than 4, and with two threads fewer than 11
ROWS = 4  # rows that the attention kernel takes at once
VECTORS = 64  # elements that an elementwise kernel takes at once: four vectors of 16


def multiple(lm: LanguageModel) -> int:
    """Rows of which a batch has a multiple."""
    if lm.device.type != "cpu":
        return 1
    config = lm.model.config.get_text_config()
    width = getattr(config, "intermediate_size", None) or 4 * lm.d_model
    return ROWS * (VECTORS // math.gcd(VECTORS, width))


def least(lm: LanguageModel) -> int:
    """Rows that a forward has at least."""
    return LEAST if lm.device.type == "cpu" else 1


def rows(lm: LanguageModel, some: list[int], at_least: int = 1) -> list[int]:
    """Repeat the last row until there is a multiple, and so many at least."""
    n = math.ceil(max(len(some), at_least) / multiple(lm)) * multiple(lm)
    return some + some[-1:] * (n - len(some))


def patches(some: np.ndarray, n_prompts: int, at_least: int) -> np.ndarray:
    """Repeat the last patch until patches and prompts make so many rows."""
    n = max(len(some), math.ceil(at_least / n_prompts))
    return np.concatenate([some, some[-1:].repeat(n - len(some), axis=0)])
