"""Check on two prompts, before any run, that the forward pass gives the model's own logits."""

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

# Root mean square difference of logits that counts as rounding, as a share of their standard
# deviation. On SmolLM2-135M it is at most 3e-6 in float32 and 0.04 in bfloat16, where padding alone
# makes 0.07.
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1, "float16": 0.02}

# Errors that an architecture raises where it does not support the shortcut; NotImplementedError is
# a RuntimeError.
FAILURES = (RuntimeError, TypeError, ValueError, AttributeError, KeyError, IndexError)


def shortcut_is_exact(
    lm: LanguageModel,
    token_ids: list[list[int]],
    n_tail: int,
    site: Site = Z,
    prefix: list[int] | None = None,
) -> bool:
    """Return whether the shortcut gives the model's logits on the shortest and longest prompt.

    Warns and returns False if the logits differ or the shortcut fails. A positive result is
    remembered: it holds for all prompts that are no longer than these, too.

    Raises
    ------
    UserError
        If the model's own forward fails, plain forwards do not give its logits either, its logits
        are not finite, its layers do not pass on one residual stream, or they lack the site.
    """
    ordered = sorted(token_ids, key=lambda ids: (len(ids), ids))
    pair = [ordered[0], ordered[-1]]
    prompts = Prompts(lm, pair, n_tail, site, prefix)
    facts = {"exact at": site.name, "of more than one position": n_tail > 1}
    key = memory.key(lm, facts | {"with a stem": any(map(prompts.has_stem, (0, 1)))})
    longest = len(pair[-1])
    if key and batches.from_main_process(lambda: _verified(key)) >= longest:
        return True
    exact = _is_exact(prompts)
    if exact and key:
        store.write({key: longest.to_bytes(8, "big")})
    return exact


def _verified(key: bytes) -> int:
    """Return the number of tokens of the longest prompt that was checked; 0 if none was."""
    return int.from_bytes(store.read([key]).get(key, b""), "big")


def _is_exact(prompts: Prompts) -> bool:
    """Do the check of `shortcut_is_exact` on a pair of prompts."""
    lm, pair, n_tail, site = prompts.lm, prompts.token_ids, prompts.n_tail, prompts.site
    expected = torch.cat([_model_logits(lm, ids) for ids in pair])
    if not torch.isfinite(expected).all():
        PlainPrompts(lm, pair, n_tail, site).run([0, 1])  # names the layer, if one is at fault
    unembed.require_finite(expected)
    if site is MLP_OUT:
        sums.require_sum(lm, pair[0])
    matches, reason = _shortcut(prompts, expected)
    if matches:
        return True
    name = type(lm.model).__name__
    try:
        plain = PlainPrompts(lm, pair, n_tail, site).run([0, 1])
    except FAILURES as error:
        _require_memory(lm, error, pair)
        raise UserError(
            f"params.yaml: model.source: {name}: its activations cannot be read: {_message(error)}"
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


def _shortcut(prompts: Prompts, expected: Tensor) -> tuple[bool, str]:
    """Return whether the shortcut gives the expected logits, and the reason if not."""
    lm = prompts.lm
    units = np.zeros((2, lm.n_layers, prompts.site.shape(lm)[0]), bool)
    units[0, (lm.n_layers - 1) // 2] = units[:, -1, 0] = True
    try:
        run = prompts.run([0, 1], keep=True)
        _require_one_stream(lm, run, prompts.n_tail)
        # Patched with its own z, a run does not change.
        alone = [prompts.run([row], keep=True) for row in (0, 1)]
        patched = [prompts.patched([row], one, one.z, units) for row, one in enumerate(alone)]
        outputs = (prompts.run([0, 1]).last, run.last, *torch.cat(patched, dim=1))
        difference = max(_difference(lm, last, expected) for last in outputs)
    except FAILURES as error:
        _require_memory(lm, error, prompts.token_ids)  # plain forwards would need more
        return False, f"it fails: {_message(error)}"
    return difference <= _tolerance(lm), f"logits differ by {difference:.2g} of their spread"


def _require_one_stream(lm: LanguageModel, run: Run, n_tail: int) -> None:
    """Refuse layers that pass on anything but one residual stream; Gemma 3n's pass on four."""
    if run.residual.shape != (lm.n_layers + 1, 2, n_tail, lm.d_model):
        raise UserError(
            f"params.yaml: model.source: {type(lm.model).__name__}: its layers hand on tensors of "
            f"shape {tuple(run.residual.shape[1:])}, expected one residual stream {lm.d_model} wide"
        )


def _model_logits(lm: LanguageModel, ids: list[int]) -> Tensor:
    """Return the logits of the model's own forward at a prompt's last position: (1, vocab_size)."""
    tokens = torch.tensor([ids], device=lm.device)
    try:
        with torch.no_grad():
            return lm.model(input_ids=tokens, use_cache=False).logits[:, -1].float()
    except FAILURES as error:
        _require_memory(lm, error, [ids])
        raise UserError(
            f"params.yaml: model.source: {type(lm.model).__name__}: transformers cannot run it on "
            f"a prompt of {len(ids)} tokens: {_message(error)}"
        ) from error


def _require_memory(lm: LanguageModel, error: Exception, prompts: list[list[int]]) -> None:
    """Raise a UserError if the cause of `error` is a lack of memory, not the architecture."""
    if budget.is_out_of_memory(error):
        raise UserError(
            f"params.yaml: model.source: {type(lm.model).__name__}: a prompt of "
            f"{max(map(len, prompts))} tokens does not fit into memory; free some, or take a "
            "smaller model or model.dtype"
        ) from error


def _message(error: Exception) -> str:
    """Return the type and message of an error on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


@torch.no_grad()
def _difference(lm: LanguageModel, last: Tensor, expected: Tensor) -> float:
    """Return the root mean square difference of logits, divided by their standard deviation."""
    gap = unembed.logits(lm, last).float() - expected
    return float(gap.square().mean().sqrt() / expected.std())


def _tolerance(lm: LanguageModel) -> float:
    """Return the largest difference that counts as rounding in the model's dtype."""
    return TOLERANCE.get(lm.dtype, 0.1)
