"""Unembed the last position and read the answers, many runs per matrix product.

The unembedding is the largest matrix of a small model. Applied to a few rows at a time (the runs of
one patch), it takes a tenth of all time; applied to many rows at a time, next to none.
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
    """Make a class of decoder outputs whose fields of other architectures are None."""
    # The import takes seconds; a stage whose runs are all remembered does not need it.
    from transformers.modeling_outputs import BaseModelOutputWithPast

    class Decoded(BaseModelOutputWithPast):
        def __getattr__(self, name: str) -> None:
            if name.startswith("_") or name == "to":  # private names; the output is not a tensor
                raise AttributeError(name)

    return Decoded


def logits(lm: LanguageModel, last: Tensor) -> Tensor:
    """Return the logits for the decoder's output at the last position.

    The model's own forward computes them, including any soft cap or scale; only its decoder is
    skipped.

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
    n, last = len(last), filled.fill_rows(last)
    output = _decoded()(last_hidden_state=last[:, None])
    ids = torch.zeros(len(last), 1, dtype=torch.long, device=lm.device)
    with linear.fast(lm.device), hooks.stand_in(lm.decoder, hooks.constant_forward(output)):
        return lm.model(input_ids=ids, use_cache=False).logits[:n, -1]


def readouts(
    lm: LanguageModel, answers: Answers, runs: Iterable[tuple[Key, Tensor]]
) -> Iterator[tuple[Key, np.ndarray]]:
    """Yield the answers of runs, unembedding many runs at a time.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    answers : Answers
        Tokens of the readout.
    runs : iterable of pairs
        Key of a run, and the decoder's output at the last position, (n_rows, d_model).

    Yields
    ------
    pair
        Key of the run, and (n_rows, 3), float32: log P(true), log P(false), and the id of the most
        likely token (float32 represents every integer up to 16,777,216).

    Raises
    ------
    UserError
        If log-probabilities are not finite.
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
    """Read the answers of several runs together."""
    waiting = [*reversed(torch.split(torch.cat([last for _, last in runs]), at_once))]
    results: list[Tensor] = []
    while waiting:
        rows = waiting.pop()
        try:
            results.append(_answers(lm, answers, rows))
            continue
        except (MemoryError, RuntimeError) as error:
            if len(rows) == 1 or not budget.is_out_of_memory(error) or not budget.halve(lm):
                raise
        waiting += reversed(torch.split(rows, -(-len(rows) // 2)))
    values = torch.cat(results).cpu()
    parts = torch.split(values, [len(last) for _, last in runs])
    return [(key, part.numpy()) for (key, _), part in zip(runs, parts, strict=True)]


def _answers(lm: LanguageModel, answers: Answers, last: Tensor) -> Tensor:
    """Return both log-probabilities and the most likely token of each row, (n_rows, 3)."""
    raw = logits(lm, last)
    log_p = log_probabilities(raw, answers)
    require_finite(log_p)
    return torch.cat([log_p, raw.argmax(dim=-1, keepdim=True).to(log_p)], dim=-1)


def probabilities(values: np.ndarray) -> np.ndarray:
    """Return P(true) and P(false), (..., 2), of values from `readouts`, (..., 3)."""
    return torch.as_tensor(np.ascontiguousarray(values[..., :2])).exp().numpy()


def require_finite(x: Tensor) -> None:
    """Raise a UserError if a value is not finite: it would pass for the answer "false"."""
    if not torch.isfinite(x).all():
        raise UserError(
            "params.yaml: model.dtype: the model's logits are not finite (float16 overflows in "
            "some models, bfloat16 and float32 do not)"
        )
