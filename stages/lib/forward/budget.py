"""How many prompts run at once: as many as the memory budget holds, while more are faster."""

import math
import os
import re

import psutil
import torch

from stages.lib.forward.site import Site, Z
from stages.lib.io.cli import UserError
from stages.lib.model.lm import LanguageModel

VARIABLE = "MEMORY_BUDGET_GB"
# Messages of out-of-memory errors that have no class of their own: of torch on CPUs, of cuBLAS, and
# of other allocators.
FULL = re.compile("not enough memory|can't allocate memory|Cannot allocate|ALLOC_FAILED", re.I)
# Rows of a matrix product beyond which more rows are no faster: prompts times tokens, or prompts
# alone, where only the last position is unembedded.
ENOUGH = {"cpu": 1024, "cuda": 16384}
ENOUGH_TO_UNEMBED = 128

_halved = 0  # how often memory did not suffice in this process


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error reports a lack of memory, on a GPU or a CPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and bool(FULL.search(str(error)))


def halve(lm: LanguageModel) -> bool:
    """Halve batch sizes in this process from now on; return False if they are 1 already."""
    global _halved
    if ENOUGH[lm.device.type] >> _halved <= 1:
        return False
    _halved += 1
    if lm.device.type == "cuda":
        torch.cuda.empty_cache()
    return True


def memory(lm: LanguageModel) -> float:
    """Return the bytes that activations may take: `VARIABLE`, or a quarter of the free memory.

    Raises
    ------
    UserError
        If the environment variable is not a positive number.
    """
    text = os.environ.get(VARIABLE)
    if text is None:
        if lm.device.type != "cuda":
            return psutil.virtual_memory().available / 4
        devices = {p.device for p in lm.model.parameters() if p.device.type == "cuda"}
        return min(torch.cuda.mem_get_info(device)[0] for device in devices) / 4
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = 0.0
    if not gigabytes > 0:
        raise UserError(f"{VARIABLE}: found {text!r}, expected gigabytes, above 0")
    return gigabytes * 1e9


def prompts_at_once(
    lm: LanguageModel, n_tokens: int, n_tail: int, n_seen: int, site: Site = Z
) -> int:
    """Return how many prompts of `n_tokens` new tokens fit one forward, with their results.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    n_tokens : int
        Tokens of the longest prompt that the forward computes.
    n_tail : int
        Number of last tokens at which the site and the residual stream are kept.
    n_seen : int
        Tokens of the longest prompt: the last token attends to all of them.
    site : Site
        Tensor of each layer that is kept.

    Returns
    -------
    int
        At least 1.
    """
    n_units, width = site.shape(lm)
    n_kept = n_tail * lm.n_layers * (2 * n_units * width + lm.d_model)
    n_kept += n_tokens * lm.n_layers * 2 * lm.n_kv_heads * lm.d_head
    return _rows_that_fit(lm, n_tokens, n_seen, n_kept)


def patches_at_once(
    lm: LanguageModel, n_prompts: int, n_tail: int, n_seen: int, n_stem: float = 0
) -> int:
    """Return how many patches of `n_prompts` prompts fit one forward; results take no memory.

    `n_stem` is the number of tokens per prompt that run in stems, whose keys and values are kept.
    """
    n_tokens = n_tail + math.ceil(n_stem)
    more = n_prompts * n_tokens // 2  # the nearest number of patches to what is enough
    n_kept = math.ceil(n_stem * lm.n_layers * 2 * lm.n_kv_heads * lm.d_head)
    return max(1, _rows_that_fit(lm, n_tokens, n_seen, n_kept, more) // n_prompts)


def graphs_at_once(lm: LanguageModel, n_tokens: int, n_seen: int) -> int:
    """Return for how many prompts of `n_tokens` tokens a forward's graph fits for a backward."""
    config = lm.model.config.get_text_config()
    widest = getattr(config, "intermediate_size", None) or 4 * lm.d_model
    width = 4 * widest + 8 * lm.d_model + lm.n_heads * (4 * lm.d_head + 2 * n_seen)
    n_kept = n_tokens * lm.n_layers * width + 3 * config.vocab_size
    # A graph is large, and made once per prompt.
    return max(1, _rows_that_fit(lm, n_tokens, n_seen, n_kept) // 8)


def rows_to_unembed(lm: LanguageModel) -> int:
    """Return for how many last positions logits and their log-softmax are computed at once."""
    bytes_per_row = (lm.model.dtype.itemsize + 8) * lm.model.config.get_text_config().vocab_size
    return max(1, int(min(memory(lm) / 2 / bytes_per_row, ENOUGH_TO_UNEMBED)) >> _halved)


def _rows_that_fit(
    lm: LanguageModel, n_tokens: int, n_seen: int, n_kept: int, more: int = 0
) -> int:
    """Return how many rows fit, with half of the budget for kept values, half for one layer."""
    config = lm.model.config.get_text_config()
    widest = max(getattr(config, "intermediate_size", None) or 4 * lm.d_model, lm.d_model)
    scores = 5 * lm.n_heads * n_seen  # per piece, joined, softmax in float32 and in the dtype
    working = n_tokens * max(3 * widest + 6 * lm.d_model, 6 * lm.d_model + scores)
    bytes_per_row = lm.model.dtype.itemsize * max(n_kept, working)
    rows = min(memory(lm) / 2 / bytes_per_row, (ENOUGH[lm.device.type] + more) / n_tokens)
    return max(1, int(rows) >> _halved)
