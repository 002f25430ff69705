"""Tokenises prompts, and finds the tokens that only a chat template may write."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from stages.lib.io.cli import UserError

Named = tuple[str, str]
"""Origin of a text (for messages), and the text."""


def encode(tokenizer: Any, texts: Sequence[Named]) -> list[list[int]]:
    """Tokenise rendered prompts, with exactly one BOS if the tokenizer uses BOS.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        The tokenizer whose template rendered the texts.
    texts : sequence of tuple of str and str
        Origin of each prompt, and the prompt; its special tokens become single ids.

    Returns
    -------
    list of list of int
        Token ids of each prompt. Most templates write BOS themselves and some leave it to the
        tokenizer; in both cases there is one BOS at the head.

    Raises
    ------
    UserError
        If the tokenizer fails on a text; names its origin.
    """
    encoded = _ids(tokenizer, texts)
    bos = tokenizer.bos_token_id
    if bos is None:
        return encoded
    adds_bos = tokenizer("a", add_special_tokens=True)["input_ids"][:1] == [bos]
    return [_one_bos(ids, bos, adds_bos) for ids in encoded]


@dataclass(frozen=True)
class Reserved:
    """Tokens that only the template may write: in a user's text they could forge a turn.

    Attributes
    ----------
    tokenizer : PreTrainedTokenizerBase
    texts : tuple of str
        Texts of the tokens, sorted.
    ids : dict of int to str
        Text by token id.
    """

    tokenizer: Any
    texts: tuple[str, ...]
    ids: dict[int, str]

    def require_none(self, texts: Sequence[Named]) -> None:
        """Raise `UserError` for a text that cannot be tokenised or contains a reserved token."""
        for where, text in texts:
            try:
                text.encode()
            except UnicodeEncodeError as error:
                half = text[error.start]
                raise UserError(f"{where}: found {half!r}, half a character; remove it") from None
            token = next((token for token in self.texts if token in text), None)
            if token is not None:
                raise UserError(
                    f"{where}: found {token!r}, a special token of this model; remove it"
                )
        for (where, text), ids in zip(texts, _ids(self.tokenizer, texts), strict=True):
            token = next((token for token in ids if token in self.ids), None)
            if token is not None:
                raise UserError(f"{where}: {self._read_as(text, token)}")
            read_back = _decoded(self.tokenizer, ids)
            if read_back != text and _letters(read_back) != _letters(text):
                raise UserError(f"{where}: {self._lost(text)}")

    def markers(self, ids: Iterable[int]) -> list[int]:
        """List the reserved ids of a prompt in order, without the unknown token."""
        unknown = self.tokenizer.unk_token_id
        return [token for token in ids if token in self.ids and token != unknown]

    def _read_as(self, text: str, token: int) -> str:
        """Say what is wrong with a text in which the tokenizer finds a reserved token."""
        if token != self.tokenizer.unk_token_id:
            name = self.ids[token]
            return f"found text that this model's tokenizer reads as {name!r}, a special token"
        words = text.split()
        word = next((w for w in words if token in _ids(self.tokenizer, [("", w)])[0]), text)
        return f"found {word!r}, which this model's tokenizer has no token for; reword it"

    def _lost(self, text: str) -> str:
        """Say what is wrong with a text of which the tokenizer changes or drops a part."""
        words = text.split()
        read_back = [
            _decoded(self.tokenizer, ids) for ids in _ids(self.tokenizer, [("", w) for w in words])
        ]
        pairs = zip(words, read_back, strict=True)
        word, read_word = next(
            ((w, d) for w, d in pairs if _letters(w) != _letters(d)), (text, "another text")
        )
        return f"found {word!r}, which this model's tokenizer reads as {read_word!r}; reword it"


def reserved(tokenizer: Any, rendered: Sequence[str]) -> Reserved:
    """Find the tokens that only the template may write.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        With a chat template.
    rendered : sequence of str
        The template's own text, as `frame.template_texts` renders it.

    Returns
    -------
    Reserved
        All special tokens, and the added tokens that the template writes or that stand in its
        source, since some models mark turns with them. Whitespace tokens are left out.
    """
    id_lists = _ids(tokenizer, [("model.source", text) for text in rendered])
    written = {number for ids in id_lists for number in ids}
    literals = _literals(tokenizer.get_chat_template())
    numbers = zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True)
    ids = {number: token for number, token in numbers if token.strip()}
    texts = set(ids.values())
    for number, added in tokenizer.added_tokens_decoder.items():
        token = str(added)
        by_template = number in written or any(token in text for text in literals)
        if token.strip() and (added.special or by_template):
            ids[number] = token
            texts.add(token)
    return Reserved(tokenizer, tuple(sorted(texts)), ids)


def changed(tokenizer: Any, text: str, ids: Sequence[int]) -> bool:
    """Whether token ids decode to other characters than their text has.

    Whitespace and a BOS at the head are ignored, since decoders add and drop blanks.
    """
    decoded, written = ("".join(x.split()) for x in (_decoded(tokenizer, ids), text))
    return not (decoded.endswith(written) or written.endswith(decoded))


def ends_with(tokenizer: Any, ids: Sequence[int], blanks: str) -> bool:
    """Whether the decoded text of token ids ends with the given blanks."""
    return _decoded(tokenizer, ids).endswith(blanks)


def _one_bos(ids: list[int], bos: int, adds_bos: bool) -> list[int]:
    """Add a missing BOS if the tokenizer adds BOS, and drop repeated ones at the head."""
    if adds_bos and ids[:1] != [bos]:
        return [bos, *ids]
    while ids[:2] == [bos, bos]:
        ids = ids[1:]
    return ids


def _letters(text: str) -> str:
    """Remove from a text what tokenizers normalise: case, accents, ligatures and blanks."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in plain if not c.isspace() and not unicodedata.combining(c))


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    """Decode token ids, special tokens included."""
    return tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def _literals(template: str) -> list[str]:
    """List a template's literals: its data, and its strings with their quotes."""
    tokens = jinja2.Environment().lex(template)
    return [text for _, kind, text in tokens if kind in ("data", "string")]


def _ids(tokenizer: Any, texts: Sequence[Named]) -> list[list[int]]:
    """Tokenise texts without adding special tokens."""
    if not texts:
        return []
    try:
        return tokenizer([text for _, text in texts], add_special_tokens=False)["input_ids"]
    except BaseException as error:
        # A panic of the tokenizers library is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if len(texts) > 1:  # find the text to name
            return [ids for text in texts for ids in _ids(tokenizer, [text])]
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError(f"{texts[0][0]}: this model's tokenizer fails: {reason}") from None
