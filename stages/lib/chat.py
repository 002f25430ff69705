"""From wordings and a statement to the token ids of a prompt; the only place that tokenises."""

from typing import Any

import jinja2

from stages.lib.cli import UserError

PLACEHOLDER = "{statement}"
# Some templates write today's date: personas rendered on two days would differ by more than words.
NO_CLOCK = "{%- macro strftime_now(format) -%}01 Jan 2025{%- endmacro -%}"


def render(tokenizer: Any, system: str, question: str, prefix: str, statement: str) -> str:
    """Render one prompt with the tokenizer's own chat template.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        A tokenizer with a chat template.
    system : str
        System prompt; '' sends no system message (the template may then add its own).
    question : str
        User turn; ``{statement}`` in it is replaced by the statement.
    prefix : str
        Forced start of the assistant turn; '' ends the prompt where the answer begins.
    statement : str
        The statement.

    Returns
    -------
    str
        The prompt, special tokens as text. Where the template refuses or drops a system message,
        the system prompt stands at the head of the user turn, a blank line before the question.

    References
    ----------
    arXiv:2311.15131, table 1 (system prompts, questions, prefixes).
    """
    user = {"role": "user", "content": question.replace(PLACEHOLDER, statement)}
    if system:
        if _takes_system(tokenizer):
            return _apply(tokenizer, [{"role": "system", "content": system}, user], prefix)
        user["content"] = f"{system}\n\n{user['content']}"
    return _apply(tokenizer, [user], prefix)


def encode(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a rendered prompt, with exactly one BOS where the tokenizer uses one.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        The tokenizer whose template rendered the text.
    text : str
        A prompt from `render`; its special tokens become single ids.

    Returns
    -------
    list of int
        Token ids. Most templates write BOS themselves and some leave it to the tokenizer: both
        end with one at the head.
    """
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    bos = tokenizer.bos_token_id
    if bos is None:
        return ids
    adds_bos = tokenizer("a", add_special_tokens=True)["input_ids"][0] == bos
    if adds_bos and ids[0] != bos:
        return [bos, *ids]
    while ids[:2] == [bos, bos]:
        ids = ids[1:]
    return ids


def special_token_in(tokenizer: Any, text: str) -> str | None:
    """Return a special token whose text stands in `text`, or None: it could forge a turn."""
    tokens = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    tokens |= set(tokenizer.all_special_tokens)
    return next((token for token in sorted(tokens) if token.strip() and token in text), None)


def refuse_special_tokens(tokenizer: Any, where: str, text: str) -> None:
    """Raise `UserError` where a text holds a special token: it could forge a turn."""
    token = special_token_in(tokenizer, text)
    if token is not None:
        raise UserError(f"{where}: found {token!r}, a special token of this model; remove it")


def require_template(tokenizer: Any) -> None:
    """Raise `UserError` if the tokenizer has no chat template."""
    if not tokenizer.chat_template:
        raise UserError(
            "model.source: the tokenizer of this model has no chat template; "
            "name a chat or instruct model"
        )


def _takes_system(tokenizer: Any) -> bool:
    """Whether the template shows a system message, rather than refusing or dropping it."""
    messages = [{"role": "system", "content": "SENTINEL"}, {"role": "user", "content": "?"}]
    try:
        return "SENTINEL" in _apply(tokenizer, messages, "")
    except jinja2.TemplateError:
        return False


def _apply(tokenizer: Any, messages: list[dict[str, str]], prefix: str) -> str:
    """Apply the chat template with the prefix as an assistant turn to be continued."""
    template = NO_CLOCK + tokenizer.get_chat_template()
    how = {"add_generation_prompt": True}
    if prefix:
        messages = [*messages, {"role": "assistant", "content": prefix}]
        how = {"continue_final_message": True}
    return tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False, **how)
