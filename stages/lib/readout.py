"""Which tokens say true and false, and how probable they are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from stages.lib.cli import UserError
from stages.lib.ranges import Some, Text

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Config:
    """Section `readout` of params.yaml."""

    true_words: Some[Annotated[str, Text()]]
    false_words: Some[Annotated[str, Text()]]


@dataclass(frozen=True)
class Answers:
    """Token ids that count as the answers "true" and "false"."""

    true_ids: tuple[int, ...]
    false_ids: tuple[int, ...]


def answers(tokenizer: Any, config: Config) -> Answers:
    """Find every token that is an answer word, with or without space around it.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        The model's tokenizer.
    config : Config
        The words; case counts.

    Returns
    -------
    Answers
        Ids, ascending.

    Raises
    ------
    UserError
        If no token is one of the true words, or of the false words, or one is both.

    Notes
    -----
    The code of arXiv:2311.15131 sums over four ids of each answer, written down for one tokenizer;
    here they come from the vocabulary.
    """
    true_ids = _tokens(tokenizer, config.true_words)
    false_ids = _tokens(tokenizer, config.false_words)
    for key, ids in (("true_words", true_ids), ("false_words", false_ids)):
        if not ids:
            raise UserError(
                f"params.yaml: readout.{key}: no single token of this model is one of "
                f"{', '.join(getattr(config, key))}"
            )
    if both := set(true_ids) & set(false_ids):
        raise UserError(f"params.yaml: readout: tokens {sorted(both)} are both true and false")
    return Answers(true_ids, false_ids)


def log_probabilities(logits: "Tensor", answers: Answers) -> "Tensor":
    """Log-probability of each answer as the next token.

    Parameters
    ----------
    logits : Tensor of shape (n_prompts, vocab_size)
        At the last prompt token, in nats.
    answers : Answers
        Token ids of both answers.

    Returns
    -------
    Tensor of shape (n_prompts, 2), float32
        log P(true) and log P(false): of the softmax over the whole vocabulary, summed over each
        answer's tokens.
    """
    import torch

    log_p = torch.log_softmax(logits.float(), dim=-1)
    both = (answers.true_ids, answers.false_ids)
    return torch.stack([log_p[:, list(ids)].logsumexp(-1) for ids in both], dim=-1)


def probabilities(logits: "Tensor", answers: Answers) -> "Tensor":
    """P(true) and P(false), shape (n_prompts, 2), as in `log_probabilities`.

    Their sum is the truth mass.
    """
    return log_probabilities(logits, answers).exp()


def _tokens(tokenizer: Any, words: tuple[str, ...]) -> tuple[int, ...]:
    """Ids whose decoded text, without space around it, is one of the words."""
    # A token's entry in the vocabulary holds the word, or, beyond ASCII, is all that it encodes to:
    # few tokens need decoding.
    likely = {i for token, i in tokenizer.get_vocab().items() if any(w in token for w in words)}
    for form in (text for word in words for text in (word, f" {word}")):
        ids = tokenizer.encode(form, add_special_tokens=False)
        likely |= set(ids) if len(ids) == 1 else set()
    likely -= set(tokenizer.all_special_ids)
    return tuple(sorted(i for i in likely if tokenizer.decode([i]).strip() in words))
