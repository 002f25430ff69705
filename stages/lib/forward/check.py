"""Whether the forward pass gives what the model gives: a look at two prompts, before all others."""

import warnings

import numpy as np
import torch
from torch import Tensor

from stages.lib.cli import UserError
from stages.lib.forward import unembed
from stages.lib.forward.plain import PlainPrompts
from stages.lib.forward.prompts import Prompts
from stages.lib.lm import LanguageModel

# Root mean square difference of logits, as a share of their spread, that is rounding and no error.
# On SmolLM2-135M: up to 3e-6 in float32 and 0.04 in bfloat16, where padding alone makes 0.07.
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1, "float16": 0.02}


def shortcut_is_exact(lm: LanguageModel, token_ids: list[list[int]], n_tail: int) -> bool:
    """Compare the shortcut with the model itself, on the shortest and the longest prompt.

    Warns and returns False if an architecture does not give the same logits both ways, or fails.

    Raises
    ------
    UserError
        If plain forwards do not give the model's logits either, or those are no numbers.
    """
    ordered = sorted(token_ids, key=lambda ids: (len(ids), ids))
    pair = [ordered[0], ordered[-1]]
    expected = torch.cat([_whole(lm, ids) for ids in pair])
    unembed.refuse_what_is_no_number(expected)
    fitting, reason = _shortcut(lm, pair, n_tail, expected)
    if fitting:
        return True
    plain = PlainPrompts(lm, pair, n_tail).run([0, 1]).last
    name = type(lm.model).__name__
    if (difference := _difference(lm, plain, expected)) > _tolerance(lm):
        raise UserError(
            f"params.yaml: model.source: {name}: its decoder alone does not give its logits: they "
            f"differ by {difference:.2g} of their spread"
        )
    warnings.warn(
        f"{name}: plain forwards, because the shortcut is not exact: {reason}", stacklevel=2
    )
    return False


def _shortcut(
    lm: LanguageModel, pair: list[list[int]], n_tail: int, expected: Tensor
) -> tuple[bool, str]:
    """Whether the shortcut gives these logits, and what was found if not."""
    prompts = Prompts(lm, pair, n_tail)
    heads = np.zeros((1, lm.n_layers, lm.n_heads), bool)
    heads[:, lm.n_layers // 2] = heads[:, -1, 0] = True
    try:
        run = prompts.run([0, 1], keep=True)
        patched = prompts.patched([0, 1], run, run.z, heads)[0]  # itself into itself: no change
        both = (prompts.run([0, 1]).last, patched)
        difference = max(_difference(lm, last, expected) for last in both)
    except torch.cuda.OutOfMemoryError:
        raise  # plain forwards would need more
    except (RuntimeError, TypeError, ValueError, AttributeError, KeyError, IndexError) as error:
        return False, f"it fails: {type(error).__name__}: {error}"
    return difference <= _tolerance(lm), f"logits differ by {difference:.2g} of their spread"


def _whole(lm: LanguageModel, ids: list[int]) -> Tensor:
    """Logits at the last position of one prompt, by the model's own forward: (1, vocab_size)."""
    tokens = torch.tensor([ids], device=lm.device)
    with torch.no_grad():
        return lm.model(input_ids=tokens, use_cache=False).logits[:, -1].float()


@torch.no_grad()
def _difference(lm: LanguageModel, last: Tensor, expected: Tensor) -> float:
    """Root mean square difference of logits, as a share of their spread."""
    gap = unembed.logits(lm, last).float() - expected
    return float(gap.square().mean().sqrt() / expected.std())


def _tolerance(lm: LanguageModel) -> float:
    """What difference is rounding in the model's dtype."""
    return TOLERANCE.get(lm.dtype, 0.1)
