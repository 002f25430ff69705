"""Finds which tokens of a prompt are system prompt, question, statement or prefix; pairs them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from stages.lib.io import params
from stages.lib.io.ranges import PLACEHOLDER

BLOCKS = ("system", "user turn", "question", "statement", "assistant turn", "prefix")
Decode = Callable[[list[int]], str]


@dataclass(frozen=True)
class PersonaWording:
    """What the prompts of a persona are rendered from.

    Attributes
    ----------
    system, question, prefix : str
        Texts of params.yaml; `question` holds the placeholder of the statement.
    """

    system: str
    question: str
    prefix: str


def wording_of(persona: str) -> PersonaWording:
    """Read from params.yaml what a persona's prompts are rendered from."""
    system, prefix = (params.wording(f"{persona}_{end}") for end in ("system", "prefix"))
    return PersonaWording(system, params.wording("question"), prefix)


class NotFoundError(Exception):
    """A wording does not stand unchanged in the prompt; the message says which one."""


def segments(text: str, wording: PersonaWording, statement: str) -> list[tuple[str, int]]:
    """Cut a prompt into the pieces that it was rendered from.

    Parameters
    ----------
    text : str
        The rendered prompt.
    wording : PersonaWording
        PersonaWording of the prompt's persona.
    statement : str
        The statement in the prompt.

    Returns
    -------
    list of (str, int)
        Block of each piece, one of `BLOCKS`, and the character at which the piece starts. The first
        piece starts at 0, and each piece ends where the next one starts. Template text before the
        system prompt belongs to block "system". Template text between system prompt and question is
        the "user turn" (without a system prompt, all text before the question), and between
        question and prefix the "assistant turn". All prompts of one question have the same number
        of pieces; pieces may be empty.

    Raises
    ------
    NotFoundError
        If the template changed a wording by more than whitespace at the wording's ends.
    """
    prefix = wording.prefix.strip()
    start = len(text.rstrip()) - len(prefix) if prefix else len(text)
    if not text.startswith(prefix, max(0, start)):
        raise NotFoundError("the prefix is not at its end")
    question_start, pieces = _user_turn(text[:start], wording.question, statement)
    system = wording.system.strip()
    system_start = text.find(system, 0, question_start) if system else 0
    if system_start < 0:
        raise NotFoundError("the system prompt is not before the question")
    return [
        ("system", 0),
        ("system", system_start),
        ("user turn", system_start + len(system)),
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
        Token ids of the prompt.
    text : str
        The prompt. Up to whitespace, it is the text that the tokens decode to; only one of the two
        may have more at the head (such as BOS).
    starts : list of int
        Character at which each piece starts, the first at 0.

    Returns
    -------
    ndarray of shape (n_tokens,), int
        Piece of the first non-whitespace character of each token. For a token without one: piece
        of the character after those of the preceding tokens. Never decreases.

    Raises
    ------
    NotFoundError
        If the tokens decode to another text.
    """
    full_text = decode(token_ids)
    decoded_chars, prompt_chars = ("".join(x.split()) for x in (full_text, text))
    if not (decoded_chars.endswith(prompt_chars) or prompt_chars.endswith(decoded_chars)):
        raise NotFoundError("its token ids decode to another text")
    offset = len(prompt_chars) - len(decoded_chars)
    # Positions in the text of its non-whitespace characters.
    places = [i for i, character in enumerate(text) if not character.isspace()]
    first: list[int] = []
    n_before = [_n_solid(decode(token_ids[:i]), full_text) + offset for i in range(len(token_ids))]
    for before, after in pairwise([*n_before, len(places)]):
        if after > before:
            first.append(places[max(before, 0)])
        else:
            first.append(min(places[before - 1] + 1, len(text) - 1) if before > 0 else 0)
    return np.searchsorted(starts, first, side="right") - 1


@dataclass(frozen=True)
class Pairs:
    """Positions of a base prompt at which z of the source run can be patched in.

    Attributes
    ----------
    block : ndarray of shape (n_pairs,), int
        Index in `BLOCKS` of the block that the position is in; -1 where no block is meant.
    base, source : ndarray of shape (n_pairs,), int
        The base position, and the source position whose z is patched in there. Both are negative,
        counted from the end of their prompt.
    """

    block: np.ndarray
    base: np.ndarray
    source: np.ndarray

    def only(self, mask: np.ndarray) -> "Pairs":
        """Keep the pairs that a mask of shape (n_pairs,), bool, selects."""
        return Pairs(self.block[mask], self.base[mask], self.source[mask])

    @property
    def reach(self) -> int:
        """Smallest number of last positions that holds all pairs, in both prompts."""
        return int(-min(self.base.min(initial=-1), self.source.min(initial=-1)))


def last(n: int) -> Pairs:
    """Pair the last n positions, whatever block they are in."""
    positions = np.arange(-n, 0)
    return Pairs(np.full(n, -1), positions, positions)


def with_last(pairs: Pairs) -> Pairs:
    """Make the last tokens of both prompts a pair, beside all pairs without these tokens."""
    rest, end = pairs.only((pairs.base != -1) & (pairs.source != -1)), last(1)
    columns = ("block", "base", "source")
    return Pairs(*(np.concatenate([getattr(p, name) for p in (rest, end)]) for name in columns))


def align(base: list[int], source: list[int], names: list[str], pieces: list[np.ndarray]) -> Pairs:
    """Pair the positions of two prompts, piece by piece, from the end of each piece.

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
        In each piece, as many pairs as the shorter of its two versions has tokens. Left out are
        the tokens that both prompts start with, where z is the same in both runs, and tokens
        further from the end than the shorter prompt is long, which no patch reaches.
    """
    n_common, min_length = _n_same(base, source), min(len(base), len(source))
    block: list[int] = []
    base_positions: list[int] = []
    source_positions: list[int] = []
    for piece, name in enumerate(names):
        base_tokens, source_tokens = (
            np.flatnonzero(piece_of_token == piece) for piece_of_token in pieces
        )
        n = min(len(base_tokens), len(source_tokens))
        for i, j in zip(
            base_tokens[len(base_tokens) - n :],
            source_tokens[len(source_tokens) - n :],
            strict=True,
        ):
            is_reachable = max(len(base) - i, len(source) - j) <= min_length
            if is_reachable and (i != j or i >= n_common):
                block.append(BLOCKS.index(name))
                base_positions.append(i - len(base))
                source_positions.append(j - len(source))
    return Pairs(*(np.array(values, int) for values in (block, base_positions, source_positions)))


def _user_turn(text: str, question: str, statement: str) -> tuple[int, list[tuple[str, int, int]]]:
    """Return where the question starts, and the block, start and end of each of its pieces."""
    parts = question.split(PLACEHOLDER)
    worded_pieces = [("question", parts[0])]
    for part in parts[1:]:
        worded_pieces += [("statement", statement), ("question", part)]
    content = "".join(piece for _, piece in worded_pieces)
    start = text.rfind(content.strip())
    if start < 0:
        raise NotFoundError("the question is not before the prefix")
    end = start + len(content.strip())
    shift = start - (len(content) - len(content.lstrip()))
    edges = [
        min(max(edge + shift, start), end)
        for edge in accumulate((len(piece) for _, piece in worded_pieces), initial=0)
    ]
    return start, [
        (block, *pair) for (block, _), pair in zip(worded_pieces, pairwise(edges), strict=True)
    ]


def _n_solid(part: str, full_text: str) -> int:
    """Count the non-whitespace characters of `part` that `full_text` begins with."""
    if not full_text.startswith(part):  # for example where `part` ends in half a character
        part = part[: _n_same(part, full_text)]
    return sum(not character.isspace() for character in part)


def _n_same(a: Sequence[object], b: Sequence[object]) -> int:
    """Count the items that two sequences have in common at their heads."""
    mismatches = (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
    return next(mismatches, min(len(a), len(b)))
