"""The tokens that mean true and false, and their probabilities."""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from stages.lib.io import store
from stages.lib.io.cli import UserError
from stages.lib.io.ranges import Some, Text

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from stages.lib.model.lm import LanguageModel

CODE, PACKAGES = (
    Path(__file__).parent,
    ("tokenizers", "transformers"),
)  # the code that finds the tokens
ENOUGH = 0.5  # mean answer mass below which users are warned


@dataclass(frozen=True)
class ReadoutConfig:
    """Section `readout` of params.yaml."""

    SECTION = "readout"
    true_words: Some[Annotated[str, Text()]]
    false_words: Some[Annotated[str, Text()]]

    def __post_init__(self) -> None:
        """Refuse lists that make sense with no vocabulary.

        Raises
        ------
        UserError
            If a list is empty, or a word is empty, begins or ends with a blank, is listed twice, or
            is in both lists.
        """
        for key in ("true_words", "false_words"):
            where, words = f"params.yaml: readout.{key}", getattr(self, key)
            if not words:
                raise UserError(f"{where}: found no word, expected at least one")
            for word in words:
                if not word.strip():
                    raise UserError(f"{where}: found {word!r}, expected a word")
                if word != word.strip():
                    raise UserError(
                        f"{where}: found {word!r}, expected {word.strip()!r}: the tokens of a word "
                        "with and without a blank around it are counted anyway"
                    )
            if len(set(map(_form, words))) < len(words):
                twice = next(w for w in words if [_form(x) for x in words].count(_form(w)) > 1)
                raise UserError(f"{where}: {twice!r} is listed more than once")
        false = set(map(_form, self.false_words))
        if both := [word for word in self.true_words if _form(word) in false]:
            raise UserError(
                f"params.yaml: readout: {both[0]!r} is both true and false, expected it in "
                "true_words or in false_words"
            )


@dataclass(frozen=True)
class Answers:
    """Token ids that count as the answers "true" and "false".

    Attributes
    ----------
    true_ids, false_ids : tuple of int
        Ids, ascending.
    missing : tuple of str
        Words without a token of their own, each another case of a word that has a token.
    """

    true_ids: tuple[int, ...]
    false_ids: tuple[int, ...]
    missing: tuple[str, ...] = ()


def answers(tokenizer: Any, config: ReadoutConfig) -> Answers:
    """Find every token that is an answer word, with or without whitespace around the word.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        The model's tokenizer.
    config : ReadoutConfig
        The words, case-sensitive.

    Returns
    -------
    Answers
        Ids, ascending.

    Raises
    ------
    UserError
        If neither a word nor another case of it in its list is a single token of this model: "TRUE"
        may lack a token if "true" has one, as few vocabularies have both.

    Notes
    -----
    The code of arXiv:2311.15131 sums over four ids per answer, hard-coded for one tokenizer; here
    the ids come from the vocabulary.
    """
    ids: dict[str, tuple[int, ...]] = {}
    missing: list[str] = []
    for key in ("true_words", "false_words"):
        words = getattr(config, key)
        tokens = _tokens(tokenizer, words)
        words_with_token = {word for word in words if _form(word) in tokens.values()}
        words_without_token = [word for word in words if word not in words_with_token]
        folded = {word.casefold() for word in words_with_token}
        if lost_words := [word for word in words_without_token if word.casefold() not in folded]:
            raise UserError(
                f"params.yaml: readout.{key}: no single token of this model is "
                f"{', '.join(map(repr, lost_words))}; expected words that are one token, with or "
                "without a blank before"
            )
        ids[key] = tuple(sorted(tokens))
        missing += words_without_token
    return Answers(ids["true_words"], ids["false_words"], tuple(missing))


def answers_of(lm: "LanguageModel", config: ReadoutConfig) -> Answers:
    """Find the answer tokens as `answers` does, once per model, as tokenizers load slowly.

    Parameters
    ----------
    lm : LanguageModel
        The model. If its identity is empty, as without a manifest, nothing is remembered.
    config : ReadoutConfig
        The words.
    """
    facts: dict[str, Any] = {"model": lm.identity, "words": asdict(config)}
    facts |= {"code": store.code(CODE)} | {package: version(package) for package in PACKAGES}
    key = store.key(facts)
    if lm.identity and (stored_value := store.read([key]).get(key)):
        true_ids, false_ids, missing = json.loads(stored_value)
        return Answers(tuple(true_ids), tuple(false_ids), tuple(missing))
    result = answers(lm.tokenizer, config)
    if lm.identity:
        store.write({key: json.dumps(astuple(result)).encode()})
    return result


def log_probabilities(logits: "Tensor", answers: Answers) -> "Tensor":
    """Return the log-probability of each answer as the next token.

    Parameters
    ----------
    logits : Tensor of shape (n_prompts, vocab_size)
        At the last prompt token, in nats.
    answers : Answers
        Token ids of both answers.

    Returns
    -------
    Tensor of shape (n_prompts, 2), float32
        log P(true) and log P(false): logarithms of the softmax over the whole vocabulary, summed
        over each answer's tokens.
    """
    import torch

    log_p = torch.log_softmax(logits.float(), dim=-1)
    both = (answers.true_ids, answers.false_ids)
    return torch.stack([log_p[:, list(ids)].logsumexp(-1) for ids in both], dim=-1)


def probabilities(logits: "Tensor", answers: Answers) -> "Tensor":
    """Return P(true) and P(false), shape (n_prompts, 2), as in `log_probabilities`.

    Their sum is the answer mass.
    """
    return log_probabilities(logits, answers).exp()


def answers_hold_enough(p: "np.ndarray") -> bool:
    """Return whether the mean answer mass is at least `ENOUGH`; `p` is as in `probabilities`."""
    return not p.sum(axis=1).mean() < ENOUGH


def toward_true(logits: "Tensor", answers: Answers) -> "Tensor":
    """Return log P(true) - log P(false) of each row of logits, in nats."""
    both = log_probabilities(logits, answers)
    return both[:, 0] - both[:, 1]


def warning_lines(
    persona: str, answers: Answers, p: "np.ndarray", first_tokens: list[str] | None
) -> list[str]:
    """Return warnings on a persona's answers, one per line; usually none.

    Parameters
    ----------
    persona : str
        Name of the persona.
    answers : Answers
        From `answers`.
    p : ndarray of shape (n_prompts, 2)
        P(true) and P(false).
    first_tokens : list of str or None
        The most probable token after each prompt, unless `answers_hold_enough`.

    Returns
    -------
    list of str
    """
    lines: list[str] = []
    if answers.missing:
        words = ", ".join(map(repr, answers.missing))
        lines.append(f"{persona}: no single token of this model is {words}: not counted")
    if first_tokens:
        token, count = most_common(first_tokens)
        lines.append(
            f"{persona}: the answers hold {p.sum(axis=1).mean():.2g} of the probability on average "
            f"(n = {len(p)}); the most probable first token is {token!r} (on "
            f"{count / len(p):.2f} of prompts)"
        )
    return lines


def most_common(tokens: Iterable[str]) -> tuple[str, int]:
    """Return the most common token and its count; at equal counts, the first in order."""
    counts = Counter(tokens)
    return min(counts.items(), key=lambda item: (-item[1], item[0]))


def _tokens(tokenizer: Any, words: tuple[str, ...]) -> dict[int, str]:
    """Map the ids of tokens that decode to one of the words, stripped, to that text."""
    # Few tokens need decoding: a token's vocabulary entry holds the word or, beyond ASCII, the word
    # encodes to that one token.
    forms = set(map(_form, words))
    spellings = {unicodedata.normalize(form, word) for form in ("NFC", "NFD") for word in words}
    candidates = {
        i for token, i in tokenizer.get_vocab().items() if any(w in token for w in spellings)
    }
    for spelling in (text for word in spellings for text in (word, f" {word}")):
        ids = tokenizer.encode(spelling, add_special_tokens=False)
        candidates |= set(ids) if len(ids) == 1 else set()
    candidates -= set(tokenizer.all_special_ids)
    texts = {i: _form(tokenizer.decode([i]).strip()) for i in candidates}
    return {i: text for i, text in texts.items() if text in forms}


def _form(word: str) -> str:
    """Normalise the spelling of accents: é is one character or two."""
    return unicodedata.normalize("NFC", word)
