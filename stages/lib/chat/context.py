"""Limits the length of prompts to what a model can read.

Beyond that limit, absolute positions end in an index error, and rotary positions run on into a
range that was never trained; such prompts are refused.
"""

import math
from collections.abc import Iterable
from typing import Any

from stages.lib.io.cli import UserError
from stages.lib.io.narrow import is_dict

KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")


def limit(config: Any) -> tuple[int, str] | None:
    """Find the maximum number of tokens that a model reads.

    Parameters
    ----------
    config : PreTrainedConfig
        The model's config.

    Returns
    -------
    pair of int and str, or None
        The number of tokens, and its key in config.json; None without a limit, as with ALiBi. With
        scaled rotary positions, the number includes the scaling.
    """
    text = config.get_text_config()
    for key in KEYS:
        value = getattr(text, key, None)
        if type(value) is int and value > 0 and not getattr(text, "alibi", False):
            return _reach(text, value), text.attribute_map.get(key, key)
    return None


def refuse_long_prompts(config: Any, prompts: Iterable[tuple[str, list[int]]]) -> None:
    """Raise `UserError` for the first prompt that is longer than the model can read.

    Parameters
    ----------
    config : PreTrainedConfig
        The model's config.
    prompts : iterable of pairs
        Origin of each prompt's statement, and the prompt's token ids.
    """
    reading_limit = limit(config)
    if reading_limit is None:
        return
    max_tokens, key = reading_limit
    for origin, token_ids in prompts:
        if len(token_ids) > max_tokens:
            raise UserError(
                f"{origin}: the prompt has {len(token_ids):,} tokens, but this model reads at most "
                f"{max_tokens:,} (config.json: {key})"
            )


def _reach(config: Any, n_positions: int) -> int:
    """Number of positions with rotary scaling, also if the config gives the unscaled number."""
    rope: dict[str, Any] = getattr(config, "rope_parameters", None) or {}
    scalings = [scaling for scaling in rope.values() if is_dict(scaling)] or [
        rope
    ]  # per layer type
    reach = [
        (scaling.get("factor") or 1)
        * (scaling.get("original_max_position_embeddings") or n_positions)
        for scaling in scalings
    ]
    if not all(map(math.isfinite, reach)):
        raise UserError(
            "params.yaml: model.source: config.json: rope_parameters.factor: found no finite number"
        )
    return max(n_positions, *map(int, reach))
