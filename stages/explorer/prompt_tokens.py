"""Texts of a prompt's tokens, and the block of the prompt that each token is in."""

from functools import cache
from itertools import pairwise
from typing import Any

from stages.lib.patching import blocks
from stages.lib.patching.blocks import BLOCKS, NotFoundError, PersonaWording

Pair = tuple[int, int]
CUT = "\ufffd"  # what a part of a character decodes to
SHOWN = (*BLOCKS, "chat template")  # the last one: a system turn that the template writes itself


class Tokens:
    """Numbered texts of tokens; each text is stored once.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        Tokenizer of the model.

    Attributes
    ----------
    texts : list of str
        Every text so far, at the index that is its number.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._after = cache(self._read_after)
        self._tokenizer = tokenizer
        self._decode = cache(lambda *ids: self.decode([*ids]))

    def decode(self, ids: list[int]) -> str:
        """Return the text of some tokens together."""
        return self._tokenizer.decode(
            ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )

    def numbers(self, ids: list[int]) -> list[int]:
        """Return the numbers of the texts of a prompt's tokens, in order."""
        texts = [self._decode(*ids[:1]), *(self._after(pair) for pair in pairwise(ids))]
        return [self._number(text) for text in texts[: len(ids)]]

    def _number(self, text: str) -> int:
        """Return the number of a text; a new text gets the next number."""
        if text not in self._numbers:
            self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return self._numbers[text]

    def _read_after(self, pair: Pair) -> str:
        """Decode the second token of a pair: some decoders drop a blank at the start of a text."""
        pair_text, first_text = self._decode(*pair), self._decode(pair[0])
        # Half of a character decodes differently beside its other half.
        return (
            pair_text[len(first_text) :]
            if pair_text.startswith(first_text)
            else self._decode(pair[1])
        )


def block_numbers(
    tokens: Tokens, ids: list[int], wording: PersonaWording, statement: str
) -> str | None:
    """Find the block of each token.

    Parameters
    ----------
    tokens : Tokens
        Texts of tokens.
    ids : list of int
        Token ids of a prompt.
    wording : PersonaWording
        Texts that the persona's prompts are rendered from.
    statement : str
        Statement in the prompt.

    Returns
    -------
    str or None
        One digit per token, the index of its block in `SHOWN`; None if a wording is not found.
    """
    texts = [tokens.texts[number] for number in tokens.numbers(ids)]

    def decode(places: list[int]) -> str:
        # A character of several tokens is in none of their texts, but in the text of all of them.
        if is_cut:
            return tokens.decode([ids[place] for place in places])
        return "".join(texts[place] for place in places)

    is_cut = any(CUT in text for text in texts)
    token_places = list(range(len(ids)))
    prompt = decode(token_places)
    try:
        names, starts = zip(*blocks.segments(prompt, wording, statement), strict=True)
        pieces = blocks.of_tokens(decode, token_places, prompt, list(starts))
    except NotFoundError:
        return None
    block_names = [names[piece] for piece in pieces]
    if not wording.system.strip():
        n_template = _n_template(texts, block_names)
        block_names[:n_template] = [SHOWN[-1]] * n_template
    return "".join(str(SHOWN.index(name)) for name in block_names)


def _n_template(texts: list[str], block_names: list[str]) -> int:
    """Count the tokens of the template's own turns: those before the last token that ends a turn.

    What ends a turn is the first token after the question.
    """
    places = [place for place, text in enumerate(texts) if text.strip()]
    ends = [texts[place] for place in places if block_names[place] == "assistant turn"][:1]
    turn = [place for place in places if block_names[place] == "user turn"]
    return max((place for place in turn if texts[place] in ends), default=0)
