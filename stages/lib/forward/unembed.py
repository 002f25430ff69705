"""From the last position to the answers, many runs in one matrix product.

The unembedding is the largest matrix of a small model. A few rows at a time, as many runs as have
a patch in common, it takes a tenth of all time; many rows at a time, next to none.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from stages.lib.forward import budget, filled, hooks, linear
from stages.lib.io.cli import UserError
from stages.lib.model.lm import LanguageModel
from stages.lib.model.readout import Answers, log_probabilities

Key = TypeVar("Key")


@cache
def _decoded() -> Any:
    """Make a class of what a decoder gives; fields that only some architectures have are None."""
    # Takes seconds to import, and a stage whose runs are all remembered does without it.
    from transformers.modeling_outputs import BaseModelOutputWithPast

    class Decoded(BaseModelOutputWithPast):
        def __getattr__(self, name: str) -> None:
            if name.startswith("_") or name == "to":  # it is no tensor
                raise AttributeError(name)

    return Decoded


def logits(lm: LanguageModel, last: Tensor) -> Tensor:
    """Unembed what the decoder gave at the last position.

    The model's own forward does it, with whatever it adds (a soft cap, a scale); only its decoder
    is skipped.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    last : Tensor of shape (n_rows, d_model)
        Output of the decoder.

    Returns
    -------
    Tensor of shape (n_rows, vocab_size)
        Logits, in nats.
    """
    n, last = len(last), filled.enough(last)
    output = _decoded()(last_hidden_state=last[:, None])
    ids = torch.zeros(len(last), 1, dtype=torch.long, device=lm.device)
    with linear.fast(lm.device), hooks.stand_in(lm.decoder, hooks.always(output)):
        return lm.model(input_ids=ids, use_cache=False).logits[:n, -1]


def readouts(
    lm: LanguageModel, answers: Answers, runs: Iterable[tuple[Key, Tensor]]
) -> Iterator[tuple[Key, np.ndarray]]:
    """Answers of runs, many of them at a time.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    answers : Answers
        Tokens of the readout.
    runs : iterable of pairs
        What a run is known by, and the decoder's output at its last position, (n_rows, d_model).

    Yields
    ------
    pair
        What the run is known by, and (n_rows, 3), float32: log P(true), log P(false), and the id
        of the most likely token (float32 has every whole number up to 16,777,216).

    Raises
    ------
    UserError
        If the model does not give numbers.
    """
    at_once = budget.rows_to_unembed(lm)
    waiting: list[tuple[Key, Tensor]] = []
    for run in runs:
        waiting.append(run)
        if sum(len(last) for _, last in waiting) >= at_once:
            yield from _read(lm, answers, waiting, at_once)
            waiting = []
    if waiting:
        yield from _read(lm, answers, waiting, at_once)


@torch.no_grad()
def _read(
    lm: LanguageModel, answers: Answers, runs: list[tuple[Key, Tensor]], at_once: int
) -> list[tuple[Key, np.ndarray]]:
    """Read the answers of some runs together."""
    waiting = [*reversed(torch.split(torch.cat([last for _, last in runs]), at_once))]
    done: list[Tensor] = []
    while waiting:
        some = waiting.pop()
        try:
            done.append(_answers(lm, answers, some))
            continue
        except (MemoryError, RuntimeError) as error:
            if len(some) == 1 or not budget.is_out_of_memory(error) or not budget.halve(lm):
                raise
        waiting += reversed(torch.split(some, -(-len(some) // 2)))
    read = torch.cat(done).cpu()
    parts = torch.split(read, [len(last) for _, last in runs])
    return [(key, part.numpy()) for (key, _), part in zip(runs, parts, strict=True)]


def _answers(lm: LanguageModel, answers: Answers, last: Tensor) -> Tensor:
    """Both log-probabilities and the most likely token of some rows, (n_rows, 3)."""
    raw = logits(lm, last)
    log_p = log_probabilities(raw, answers)
    refuse_what_is_no_number(log_p)
    return torch.cat([log_p, raw.argmax(dim=-1, keepdim=True).to(log_p)], dim=-1)


def probabilities(read: np.ndarray) -> np.ndarray:
    """P(true) and P(false), (..., 2), of what `readouts` gives, (..., 3)."""
    return torch.as_tensor(np.ascontiguousarray(read[..., :2])).exp().numpy()


def refuse_what_is_no_number(x: Tensor) -> None:
    """Raise a UserError where logits overflowed: they would pass for the answer "false"."""
    if not torch.isfinite(x).all():
        raise UserError(
            "params.yaml: model.dtype: the model's logits are not finite (float16 overflows in "
            "some models, bfloat16 and float32 do not)"
        )
