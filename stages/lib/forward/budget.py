"""How many prompts run at once: as many as a memory budget holds, up to what makes it faster."""

import os
import re

import psutil
import torch

from stages.lib.forward.site import Site, Z
from stages.lib.io.cli import UserError
from stages.lib.model.lm import LanguageModel

VARIABLE = "MEMORY_BUDGET_GB"
# What errors say that are none of a class of their own: of torch on CPUs, of cuBLAS, and of what
# allocates on the way.
FULL = re.compile("not enough memory|can't allocate memory|Cannot allocate|ALLOC_FAILED", re.I)
# Rows of a matrix product beyond which more of them are no faster: prompts times their tokens, or
# prompts alone, where the last position is unembedded.
ENOUGH = {"cpu": 1024, "cuda": 16384}
ENOUGH_TO_UNEMBED = 128

_halved = 0  # how often memory did not suffice, in this process


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory does not suffice, on a GPU or a CPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and bool(FULL.search(str(error)))


def halve(lm: LanguageModel) -> bool:
    """Take half as many at once from now on, in this process; False where that is one already."""
    global _halved
    if ENOUGH[lm.device.type] >> _halved <= 1:
        return False
    _halved += 1
    if lm.device.type == "cuda":
        torch.cuda.empty_cache()
    return True


def memory(lm: LanguageModel) -> float:
    """Bytes that activations may take: the environment variable, or a quarter of what is free.

    Raises
    ------
    UserError
        If the variable is no positive number.
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
    """Prompts of `n_tokens` new tokens in one forward, each with what it leaves behind.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    n_tokens : int
        Tokens of the longest prompt that are run.
    n_tail : int
        Last tokens at which the site and the residual stream are kept.
    n_seen : int
        Tokens of the longest prompt, which the last one attends to.
    site : Site
        Where in each layer.

    Returns
    -------
    int
        At least 1.
    """
    n_units, width = site.shape(lm)
    kept = n_tail * lm.n_layers * (2 * n_units * width + lm.d_model)
    kept += n_tokens * lm.n_layers * 2 * lm.n_kv_heads * lm.d_head
    return _most(lm, n_tokens, n_seen, kept)


def patches_at_once(lm: LanguageModel, n_prompts: int, n_tail: int, n_seen: int) -> int:
    """Patches of `n_prompts` prompts in one forward, which leaves next to nothing behind."""
    return max(1, _most(lm, n_tail, n_seen, 0) // n_prompts)


def graphs_at_once(lm: LanguageModel, n_tokens: int, n_seen: int) -> int:
    """Prompts whose `n_tokens` tokens go through every layer with what a backward needs."""
    config = lm.model.config.get_text_config()
    widest = getattr(config, "intermediate_size", None) or 4 * lm.d_model
    width = 4 * widest + 8 * lm.d_model + lm.n_heads * (4 * lm.d_head + 2 * n_seen)
    kept = n_tokens * lm.n_layers * width + 3 * config.vocab_size
    return max(1, _most(lm, n_tokens, n_seen, kept) // 8)  # a graph is large, and done once


def rows_to_unembed(lm: LanguageModel) -> int:
    """Last positions whose logits, and the logarithms of their softmax, are made at once."""
    bytes_each = (lm.model.dtype.itemsize + 8) * lm.model.config.get_text_config().vocab_size
    return max(1, int(min(memory(lm) / 2 / bytes_each, ENOUGH_TO_UNEMBED)) >> _halved)


def _most(lm: LanguageModel, n_tokens: int, n_seen: int, kept: int) -> int:
    """Rows that fit: half of the budget is for what is kept, half for the layer that runs."""
    config = lm.model.config.get_text_config()
    widest = max(getattr(config, "intermediate_size", None) or 4 * lm.d_model, lm.d_model)
    scores = 5 * lm.n_heads * n_seen  # of each piece, of both, their softmax in float32 and as kept
    working = n_tokens * max(3 * widest + 6 * lm.d_model, 6 * lm.d_model + scores)
    bytes_each = lm.model.dtype.itemsize * max(kept, working)
    rows = min(memory(lm) / 2 / bytes_each, ENOUGH[lm.device.type] / n_tokens)
    return max(1, int(rows) >> _halved)
