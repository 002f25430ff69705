"""Which tokens of a prompt are its system prompt, question, statement or prefix."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

# As chat.PLACEHOLDER, which this must not import: rendering is no input of what patches.
PLACEHOLDER = "{statement}"
BLOCKS = ("system", "user turn", "question", "statement", "assistant turn", "prefix")
Decode = Callable[[list[int]], str]


@dataclass(frozen=True)
class Wording:
    """What the prompts of a persona are rendered from.

    Attributes
    ----------
    system, question, prefix : str
        As in params.yaml; `question` holds the placeholder of the statement.
    """

    system: str
    question: str
    prefix: str


class NotFoundError(Exception):
    """A wording that is not in the prompt as it is worded; the message says which."""


def segments(text: str, wording: Wording, statement: str) -> list[tuple[str, int]]:
    """Cut a prompt into the pieces that it was rendered from.

    Parameters
    ----------
    text : str
        The rendered prompt.
    wording : Wording
        Of its persona.
    statement : str
        The statement in it.

    Returns
    -------
    list of (str, int)
        Block of each piece, one of `BLOCKS`, and the character that it starts at; the first starts
        at 0, and each ends where the next one starts. What the template writes before the system
        prompt counts to it; what it writes from there to the question is the user turn (without a
        system prompt, all before the question), from there to the prefix the assistant turn. The
        list is as long for every prompt of one question: pieces may be empty.

    Raises
    ------
    NotFoundError
        If the template changed a wording by more than whitespace at its ends.
    """
    prefix = wording.prefix.strip()
    start = len(text.rstrip()) - len(prefix) if prefix else len(text)
    if not text.startswith(prefix, max(0, start)):
        raise NotFoundError("the prefix is not at its end")
    user, pieces = _user_turn(text[:start], wording.question, statement)
    system = wording.system.strip()
    at = text.find(system, 0, user) if system else 0
    if at < 0:
        raise NotFoundError("the system prompt is not before the question")
    return [
        ("system", 0),
        ("system", at),
        ("user turn", at + len(system)),
        *((block, first) for block, first, _ in pieces),
        ("assistant turn", pieces[-1][2]),
        ("prefix", start),
    ]


def of_tokens(decode: Decode, token_ids: list[int], text: str, starts: list[int]) -> np.ndarray:
    """Find the piece of a text that each token is in.

    Parameters
    ----------
    decode : callable
        From token ids to text, special tokens included.
    token_ids : list of int
        Of the prompt.
    text : str
        The prompt. Up to whitespace it is what the tokens decode to; a token that stands before
        all text, or a text that stands before all tokens (BOS), is at its head.
    starts : list of int
        Character at which each piece starts, the first at 0.

    Returns
    -------
    ndarray of shape (n_tokens,), int
        Piece of each token's first character that is no whitespace; of a token that has none, of
        the character after those of the tokens before it. Never falls.

    Raises
    ------
    NotFoundError
        If the tokens decode to another text.
    """
    whole = decode(token_ids)
    decoded, written = ("".join(x.split()) for x in (whole, text))
    if not (decoded.endswith(written) or written.endswith(decoded)):
        raise NotFoundError("its token ids decode to another text")
    ahead = len(written) - len(decoded)
    # Characters of the text that are no whitespace, by number; then their places.
    places = [i for i, character in enumerate(text) if not character.isspace()]
    first: list[int] = []
    seen = [_n_solid(decode(token_ids[:i]), whole) + ahead for i in range(len(token_ids))]
    for before, after in pairwise([*seen, len(places)]):
        if after > before:
            first.append(places[max(before, 0)])
        else:
            first.append(min(places[before - 1] + 1, len(text) - 1) if before > 0 else 0)
    return np.searchsorted(starts, first, side="right") - 1


@dataclass(frozen=True)
class Pairs:
    """Positions of a base prompt at which z of the source run can be written.

    Attributes
    ----------
    block : ndarray of shape (n_pairs,), int
        Number of the position's block in `BLOCKS`.
    base, source : ndarray of shape (n_pairs,), int
        The position, and the one of the source prompt that it takes z from: negative, counted from
        the end of each prompt.
    """

    block: np.ndarray
    base: np.ndarray
    source: np.ndarray

    def only(self, chosen: np.ndarray) -> "Pairs":
        """Some of the pairs: (n_pairs,), bool."""
        return Pairs(self.block[chosen], self.base[chosen], self.source[chosen])

    @property
    def reach(self) -> int:
        """How many last positions hold them all, in both prompts."""
        return int(-min(self.base.min(initial=-1), self.source.min(initial=-1)))


def last(n: int) -> Pairs:
    """Pair the last n positions, whatever block they are in."""
    positions = np.arange(-n, 0)
    return Pairs(np.full(n, -1), positions, positions)


def with_last(pairs: Pairs) -> Pairs:
    """All pairs, the last tokens of both prompts one of them."""
    rest, end = pairs.only((pairs.base != -1) & (pairs.source != -1)), last(1)
    columns = ("block", "base", "source")
    return Pairs(*(np.concatenate([getattr(p, name) for p in (rest, end)]) for name in columns))


def align(base: list[int], source: list[int], names: list[str], pieces: list[np.ndarray]) -> Pairs:
    """Pair the positions of two prompts, piece by piece, each from its end.

    Parameters
    ----------
    base, source : list of int
        Token ids of the two prompts.
    names : list of str
        Block of each piece.
    pieces : list of two ndarrays of int
        Piece of each token of the base and of the source prompt, from `of_tokens`.

    Returns
    -------
    Pairs
        In each piece as many as the shorter one has. Without the tokens that both prompts start
        with: there z is the same in both runs, and nothing would be written. And without tokens
        that are further from the end than the shorter prompt is long: no patch reaches them.
    """
    same, shorter = _n_same(base, source), min(len(base), len(source))
    block: list[int] = []
    of_base: list[int] = []
    of_source: list[int] = []
    for piece, name in enumerate(names):
        mine, other = (np.flatnonzero(of == piece) for of in pieces)
        n = min(len(mine), len(other))
        for i, j in zip(mine[len(mine) - n :], other[len(other) - n :], strict=True):
            reached = max(len(base) - i, len(source) - j) <= shorter
            if reached and (i != j or i >= same):
                block.append(BLOCKS.index(name))
                of_base.append(i - len(base))
                of_source.append(j - len(source))
    return Pairs(*(np.array(values, int) for values in (block, of_base, of_source)))


def _user_turn(text: str, question: str, statement: str) -> tuple[int, list[tuple[str, int, int]]]:
    """Where the question starts, and block, start and end of each of its pieces."""
    parts = question.split(PLACEHOLDER)
    worded = [("question", parts[0])]
    for part in parts[1:]:
        worded += [("statement", statement), ("question", part)]
    content = "".join(piece for _, piece in worded)
    start = text.rfind(content.strip())
    if start < 0:
        raise NotFoundError("the question is not before the prefix")
    end = start + len(content.strip())
    shift = start - (len(content) - len(content.lstrip()))
    edges = [
        min(max(edge + shift, start), end)
        for edge in accumulate((len(piece) for _, piece in worded), initial=0)
    ]
    return start, [(block, *pair) for (block, _), pair in zip(worded, pairwise(edges), strict=True)]


def _n_solid(part: str, whole: str) -> int:
    """Count the characters, without whitespace, that a text begins with as another one does."""
    if not whole.startswith(part):  # half a character, say
        part = part[: _n_same(part, whole)]
    return sum(not character.isspace() for character in part)


def _n_same(a: Sequence[object], b: Sequence[object]) -> int:
    """How many items two sequences have in common at their heads."""
    differ = (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
    return next(differ, min(len(a), len(b)))
