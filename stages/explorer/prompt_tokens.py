"""The tokens of a prompt as texts, and the block of the prompt that each is in."""

from functools import cache
from itertools import pairwise
from typing import Any

from stages.lib.patching import blocks
from stages.lib.patching.blocks import BLOCKS, NotFoundError, Wording

Pair = tuple[int, int]


class Tokens:
    """Texts of tokens, each kept once.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        The model's.

    Attributes
    ----------
    texts : list of str
        Every text that was asked for, by its number.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._after = cache(self._read_after)
        self._decode = cache(
            lambda *ids: tokenizer.decode(
                list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        )

    def numbers(self, ids: list[int]) -> list[int]:
        """Numbers of the texts of a prompt's tokens, in order."""
        texts = [self._decode(*ids[:1]), *(self._after(pair) for pair in pairwise(ids))]
        return [self._number(text) for text in texts[: len(ids)]]

    def _number(self, text: str) -> int:
        """Number of a text, a new one if it is new."""
        if text not in self._numbers:
            self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return self._numbers[text]

    def _read_after(self, pair: Pair) -> str:
        """Text of a token after another: some decoders drop the blank that a text begins with."""
        both, before = self._decode(*pair), self._decode(pair[0])
        # Half a character reads otherwise beside its other half.
        return both[len(before) :] if both.startswith(before) else self._decode(pair[1])


def block_numbers(texts: list[str], wording: Wording, statement: str) -> str | None:
    """Find the block of each token.

    Parameters
    ----------
    texts : list of str
        Of a prompt's tokens.
    wording : Wording
        Of its persona.
    statement : str
        The statement in it.

    Returns
    -------
    str or None
        One digit per token, its place in `BLOCKS`; None where a wording is not found.
    """

    def decode(numbers: list[int]) -> str:
        return "".join(texts[number] for number in numbers)

    every = list(range(len(texts)))
    whole = decode(every)
    try:
        names, starts = zip(*blocks.segments(whole, wording, statement), strict=True)
        pieces = blocks.of_tokens(decode, every, whole, list(starts))
    except NotFoundError:
        return None
    return "".join(str(BLOCKS.index(names[piece])) for piece in pieces)
