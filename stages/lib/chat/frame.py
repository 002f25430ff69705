"""Finds, with stand-ins, what a chat template writes around system prompt, question and prefix."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from stages.lib.chat import template as chat_template
from stages.lib.chat.template import WHERE, Chat, Failed
from stages.lib.io.cli import UserError

# Stand-ins for the texts: a template has nothing in them to trim, cut, escape or look for.
SYSTEM, USER, ANSWER = "Jx1sQvKe", "Jx2uQvKe", "Jx3aQvKe"


@dataclass(frozen=True)
class Frame:
    """A prompt with stand-ins for its texts.

    Attributes
    ----------
    text : str
        The prompt up to where the answer begins; a prefix follows.
    bare : str
        The same for a prompt without a prefix. A blank that the template writes before the answer
        is left out, since the tokens of most answers begin with a blank.
    takes_system : bool
        Whether the template renders a system turn before the user's turn; if not, the system prompt
        stands at the head of the user's turn.
    takes_answer : bool
        Whether the template renders an assistant's turn; if not, there can be no prefix.
    added : str
        System prompt that the template adds if there is no system text; '' if none.
    """

    text: str
    bare: str
    takes_system: bool
    takes_answer: bool
    added: str = ""

    def filled(self, system: str, user: str, prefix: str) -> str:
        """Replace the stand-ins by texts, which stay unchanged."""
        text = self.text if prefix else self.bare
        return fill(text, self.texts(system, user, prefix)) + prefix

    def texts(self, system: str, user: str, prefix: str) -> dict[str, str]:
        """Map each stand-in to its text."""
        return {SYSTEM: system, USER: self.turn(system, user), ANSWER: prefix}

    def turn(self, system: str, user: str) -> str:
        """Make the user's turn, with the system prompt at its head if there is no system turn."""
        return user if self.takes_system or not system else f"{system}\n\n{user}"

    def chat(self, system: str, user: str, prefix: str) -> Chat:
        """Make the chat for which the template itself renders the same prompt."""
        answer = prefix + ANSWER if self.takes_answer else None
        return Chat(system if self.takes_system else "", self.turn(system, user), answer)


def find(tokenizer: Any, system: bool, prefix: bool) -> Frame:
    """Render stand-ins and find the frame that the template writes around them.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        With a chat template.
    system, prefix : bool
        Whether there is a system text, and a prefix. The answer begins where the template puts the
        text of a finished answer: after any thought, and in the channel of answers.

    Returns
    -------
    Frame

    Raises
    ------
    UserError
        If the template fails, exceeds a limit, or drops the question or the prefix.
    """
    chat_template.require(tokenizer)
    return _cached_frame(tokenizer, tokenizer.get_chat_template(), system, prefix)


def template_texts(tokenizer: Any) -> list[str]:
    """Render only the template's own text, with and without a system text and an answer."""
    chat_template.require(tokenizer)
    return _cached_template_texts(tokenizer, tokenizer.get_chat_template())


def fill(text: str, texts: dict[str, str]) -> str:
    """Replace all stand-ins in one pass, since a text may contain a stand-in itself."""
    return re.sub("|".join(texts), lambda match: texts[match[0]], text)


def cut(text: str) -> str | None:
    """Cut a rendered chat before its answer; None if the answer is not in it."""
    end = text.rfind(ANSWER)
    return None if end < 0 else text[:end]


@lru_cache(maxsize=8)
def _rendered(tokenizer: Any, template: str) -> list[str | Failed]:
    """Render stand-ins with and without a system text, each with and without an answer."""
    chats = [Chat(text, USER, answer) for text in (SYSTEM, "") for answer in (ANSWER, None)]
    return chat_template.render(tokenizer, chats)


@lru_cache(maxsize=8)
def _cached_template_texts(tokenizer: Any, template: str) -> list[str]:
    """Do the work of `template_texts`; the argument `template` is part of the cache's key."""
    nothing = {name: "" for name in (SYSTEM, USER, ANSWER)}
    rendered = _rendered(tokenizer, template)
    return [fill(text, nothing) for text in rendered if not isinstance(text, Failed)]


@lru_cache(maxsize=8)  # training renders a few prompts at a time
def _cached_frame(tokenizer: Any, template: str, system: bool, prefix: bool) -> Frame:
    """Do the work of `find`; the argument `template` is part of the cache's key."""
    with_system, with_system_head, without_system, head = _rendered(tokenizer, template)
    if system:
        frame = _frame(with_system, with_system_head, prefix, (SYSTEM, USER))
        if frame is not None:
            return frame
    frame = _frame(without_system, head, prefix, (USER,))
    if frame is None:
        raise UserError(_fault(without_system if prefix else head))
    if system:
        return frame
    other = _frame(with_system, with_system_head, prefix, (SYSTEM, USER))
    added = "" if other is None else _insertion(_before(frame), _before(other).replace(SYSTEM, ""))
    return replace(frame, added=added)


def _frame(
    answered: str | Failed, head: str | Failed, prefix: bool, names: tuple[str, ...]
) -> Frame | None:
    """Make a frame from a chat with an answer and a chat up to it; None if a text is missing."""
    system = SYSTEM in names
    text = None if isinstance(answered, Failed) else cut(answered)
    if isinstance(head, Failed) or not _in_order(head, names):
        head = ""
    if text is not None and _in_order(text, names):
        # If both end at the same place, the template's own request for an answer is better.
        bare = head if head.rstrip() == text.rstrip() else text.rstrip(" ")
        return Frame(text, bare, system, True)
    if head and not prefix:
        return Frame(head, head, system, False)
    return None


def _in_order(text: str, names: tuple[str, ...]) -> bool:
    """Whether all stand-ins are in a text, each before the last occurrence of the next."""
    places = [(text.find(name), text.rfind(name)) for name in names]
    starts, ends = [first for first, _ in places], [last for _, last in places]
    return min(starts) >= 0 and all(a < b for a, b in zip(starts, ends[1:], strict=False))


def _fault(rendered: str | Failed) -> str:
    """Say in one line what is wrong with a rendered chat."""
    if isinstance(rendered, Failed):
        return f"{WHERE} fails: {rendered.reason}"
    if USER not in rendered:
        return (
            f"{WHERE} drops the user's message, expected it in the prompt; "
            "it may want messages as lists of parts, for text and images"
        )
    return f"{WHERE} drops the start of the answer, expected it after the question"


def _before(frame: Frame) -> str:
    """Return the text that a template writes before the user's text."""
    return frame.text.partition(USER)[0]


def _insertion(text: str, other: str) -> str:
    """Return what `text` has beyond `other` between their common head and common end."""
    head = next(
        (i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b),
        min(len(text), len(other)),
    )
    max_end = min(len(text), len(other)) - head
    end = next((i for i in range(max_end) if text[-1 - i] != other[-1 - i]), max_end)
    return text[head : len(text) - end].strip()
