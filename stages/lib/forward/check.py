"""Whether the forward pass gives what the model gives: a look at two prompts, before all others."""

import warnings

import numpy as np
import torch
from torch import Tensor

from stages.lib.forward import batches, budget, memory, sums, unembed
from stages.lib.forward.plain import PlainPrompts
from stages.lib.forward.prompts import Prompts, Run
from stages.lib.forward.site import MLP_OUT, Site, Z
from stages.lib.io import store
from stages.lib.io.cli import UserError
from stages.lib.model.lm import LanguageModel

# Root mean square difference of logits, as a share of their spread, that is rounding and no error.
# On SmolLM2-135M: up to 3e-6 in float32 and 0.04 in bfloat16, where padding alone makes 0.07.
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1, "float16": 0.02}

# What an architecture raises that does not fit; NotImplementedError is a RuntimeError.
FAILURES = (RuntimeError, TypeError, ValueError, AttributeError, KeyError, IndexError)


def shortcut_is_exact(
    lm: LanguageModel, token_ids: list[list[int]], n_tail: int, site: Site = Z
) -> bool:
    """Compare the shortcut with the model itself, on the shortest and the longest prompt.

    Warns and returns False if an architecture does not give the same logits both ways, or fails.
    That it is exact is remembered: it is so for all prompts that are no longer, too.

    Raises
    ------
    UserError
        If the model's own forward fails, plain forwards do not give its logits either, those are no
        numbers, its layers do not hand on one residual stream, or the site is not in them.
    """
    ordered = sorted(token_ids, key=lambda ids: (len(ids), ids))
    pair = [ordered[0], ordered[-1]]
    key = memory.key(lm, {"exact at": site.name, "of more than one position": n_tail > 1})
    longest = len(pair[-1])
    if key and batches.from_main_process(lambda: _verified(key)) >= longest:
        return True
    exact = _is_exact(lm, pair, n_tail, site)
    if exact and key:
        store.write({key: longest.to_bytes(8, "big")})
    return exact


def _verified(key: bytes) -> int:
    """Tokens of the longest prompt that was checked."""
    return int.from_bytes(store.read([key]).get(key, b""), "big")


def _is_exact(lm: LanguageModel, pair: list[list[int]], n_tail: int, site: Site) -> bool:
    """As `shortcut_is_exact`, on a pair of prompts."""
    expected = torch.cat([_whole(lm, ids) for ids in pair])
    if not torch.isfinite(expected).all():
        PlainPrompts(lm, pair, n_tail, site).run([0, 1])  # names the layer, if it is one
    unembed.refuse_what_is_no_number(expected)
    if site is MLP_OUT:
        sums.require_sum(lm, pair[0])
    fitting, reason = _shortcut(lm, pair, n_tail, expected, site)
    if fitting:
        return True
    name = type(lm.model).__name__
    try:
        plain = PlainPrompts(lm, pair, n_tail, site).run([0, 1])
    except FAILURES as error:
        _require_memory(lm, error, pair)
        raise UserError(
            f"params.yaml: model.source: {name}: its activations cannot be read: {_words(error)}"
        ) from error
    _require_one_stream(lm, plain, n_tail)
    if (difference := _difference(lm, plain.last, expected)) > _tolerance(lm):
        raise UserError(
            f"params.yaml: model.source: {name}: its decoder alone does not give its logits: they "
            f"differ by {difference:.2g} of their spread"
        )
    warnings.warn(
        f"{name}: plain forwards, because the shortcut is not exact: {reason}", stacklevel=2
    )
    return False


def _shortcut(
    lm: LanguageModel, pair: list[list[int]], n_tail: int, expected: Tensor, site: Site
) -> tuple[bool, str]:
    """Whether the shortcut gives these logits, and what was found if not."""
    prompts = Prompts(lm, pair, n_tail, site)
    units = np.zeros((1, lm.n_layers, site.shape(lm)[0]), bool)
    units[:, lm.n_layers // 2] = units[:, -1, 0] = True
    try:
        run = prompts.run([0, 1], keep=True)
        _require_one_stream(lm, run, n_tail)
        patched = prompts.patched([0, 1], run, run.z, units)[0]  # itself into itself: no change
        both = (prompts.run([0, 1]).last, patched)
        difference = max(_difference(lm, last, expected) for last in both)
    except FAILURES as error:
        _require_memory(lm, error, pair)  # plain forwards would need more
        return False, f"it fails: {_words(error)}"
    return difference <= _tolerance(lm), f"logits differ by {difference:.2g} of their spread"


def _require_one_stream(lm: LanguageModel, run: Run, n_tail: int) -> None:
    """Refuse layers that hand on something else than a residual stream, as Gemma 3n's four do."""
    if run.residual.shape != (lm.n_layers + 1, 2, n_tail, lm.d_model):
        raise UserError(
            f"params.yaml: model.source: {type(lm.model).__name__}: its layers hand on tensors of "
            f"shape {tuple(run.residual.shape[1:])}, expected one residual stream {lm.d_model} wide"
        )


def _whole(lm: LanguageModel, ids: list[int]) -> Tensor:
    """Logits at the last position of one prompt, by the model's own forward: (1, vocab_size)."""
    tokens = torch.tensor([ids], device=lm.device)
    try:
        with torch.no_grad():
            return lm.model(input_ids=tokens, use_cache=False).logits[:, -1].float()
    except FAILURES as error:
        _require_memory(lm, error, [ids])
        raise UserError(
            f"params.yaml: model.source: {type(lm.model).__name__}: transformers cannot run it on "
            f"a prompt of {len(ids)} tokens: {_words(error)}"
        ) from error


def _require_memory(lm: LanguageModel, error: Exception, prompts: list[list[int]]) -> None:
    """Refuse a model that the memory does not suffice for; no architecture is at fault."""
    if budget.is_out_of_memory(error):
        raise UserError(
            f"params.yaml: model.source: {type(lm.model).__name__}: a prompt of "
            f"{max(map(len, prompts))} tokens does not fit into memory; free some, or take a "
            "smaller model or model.dtype"
        ) from error


def _words(error: Exception) -> str:
    """What an error says, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


@torch.no_grad()
def _difference(lm: LanguageModel, last: Tensor, expected: Tensor) -> float:
    """Root mean square difference of logits, as a share of their spread."""
    gap = unembed.logits(lm, last).float() - expected
    return float(gap.square().mean().sqrt() / expected.std())


def _tolerance(lm: LanguageModel) -> float:
    """What difference is rounding in the model's dtype."""
    return TOLERANCE.get(lm.dtype, 0.1)
