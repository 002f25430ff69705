"""How long a prompt a model can read; a longer one is refused, whatever the model would make of it.

Absolute positions end in an index out of range; rotary ones go on into what was never trained.
"""

import math
from collections.abc import Iterable
from typing import Any

from stages.lib.io.cli import UserError
from stages.lib.io.narrow import is_dict

KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")


def limit(config: Any) -> tuple[int, str] | None:
    """Find how many tokens a model reads at most.

    Parameters
    ----------
    config : PreTrainedConfig
        The model's.

    Returns
    -------
    pair of int and str, or None
        The number of tokens, and its key in config.json. None where there is no limit, as with
        ALiBi. Scaled rotary positions count as far as their scaling reaches.
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
        The model's.
    prompts : iterable of pairs
        Where each prompt's statement comes from, and its token ids.
    """
    longest = limit(config)
    if longest is None:
        return
    most, key = longest
    for origin, token_ids in prompts:
        if len(token_ids) > most:
            raise UserError(
                f"{origin}: the prompt has {len(token_ids):,} tokens, but this model reads at most "
                f"{most:,} (config.json: {key})"
            )


def _reach(config: Any, n_positions: int) -> int:
    """Positions with the scaling of rotary ones, where the number is that of before."""
    rope: dict[str, Any] = getattr(config, "rope_parameters", None) or {}
    kinds = [each for each in rope.values() if is_dict(each)] or [rope]  # per layer type
    reach = [
        (each.get("factor") or 1) * (each.get("original_max_position_embeddings") or n_positions)
        for each in kinds
    ]
    if not all(map(math.isfinite, reach)):
        raise UserError(
            "params.yaml: model.source: config.json: rope_parameters.factor: found no finite number"
        )
    return max(n_positions, *map(int, reach))
