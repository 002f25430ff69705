"""What a chat template writes around system prompt, question and prefix, found with stand-ins."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from stages.lib.chat import template as chat_template
from stages.lib.chat.template import WHERE, Chat, Failed
from stages.lib.io.cli import UserError

# Stand for the texts: nothing in them that a template could trim, cut, escape or look for.
SYSTEM, USER, ANSWER = "Jx1sQvKe", "Jx2uQvKe", "Jx3aQvKe"


@dataclass(frozen=True)
class Frame:
    """A prompt with stand-ins for its texts.

    Attributes
    ----------
    text : str
        Up to where the answer begins; a prefix follows.
    bare : str
        The same for a prompt without a prefix: without a blank that the template writes before the
        answer, since the tokens of most answers begin with one.
    takes_system : bool
        Whether the template shows a system turn, before the user's; else the system prompt stands
        at the head of the user's turn.
    takes_answer : bool
        Whether it shows an assistant's turn; else there can be no prefix.
    added : str
        Where there is no system text: the system prompt that the template adds of its own.
    """

    text: str
    bare: str
    takes_system: bool
    takes_answer: bool
    added: str = ""

    def filled(self, system: str, user: str, prefix: str) -> str:
        """Put texts in place of the stand-ins, letter by letter as they are."""
        text = self.text if prefix else self.bare
        return fill(text, self.texts(system, user, prefix)) + prefix

    def texts(self, system: str, user: str, prefix: str) -> dict[str, str]:
        """Text for each stand-in."""
        return {SYSTEM: system, USER: self.turn(system, user), ANSWER: prefix}

    def turn(self, system: str, user: str) -> str:
        """The user's turn, with the system prompt at its head where there is no turn for that."""
        return user if self.takes_system or not system else f"{system}\n\n{user}"

    def chat(self, system: str, user: str, prefix: str) -> Chat:
        """What to ask the template for, to get the same prompt from it."""
        answer = prefix + ANSWER if self.takes_answer else None
        return Chat(system if self.takes_system else "", self.turn(system, user), answer)


def find(tokenizer: Any, system: bool, prefix: bool) -> Frame:
    """Render stand-ins, and see what the template does with them.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        With a chat template.
    system, prefix : bool
        Whether there is a system text, and a prefix. The answer begins where the template begins
        the text of a finished answer: after a thought, and in the channel of answers.

    Returns
    -------
    Frame

    Raises
    ------
    UserError
        If the template fails, is over a limit, or drops the question or the prefix.
    """
    chat_template.require(tokenizer)
    return _found(tokenizer, tokenizer.get_chat_template(), system, prefix)


def written(tokenizer: Any) -> list[str]:
    """What a template writes of its own, with and without a system text and an answer."""
    chat_template.require(tokenizer)
    return _written(tokenizer, tokenizer.get_chat_template())


def fill(text: str, texts: dict[str, str]) -> str:
    """Replace stand-ins, all at once: a text may hold one itself."""
    return re.sub("|".join(texts), lambda match: texts[match[0]], text)


def cut(text: str) -> str | None:
    """A rendered chat up to its answer, or None if the answer is not in it."""
    end = text.rfind(ANSWER)
    return None if end < 0 else text[:end]


@lru_cache(maxsize=8)
def _rendered(tokenizer: Any, template: str) -> list[str | Failed]:
    """Chats of stand-ins: with a system text and without, of each with an answer and without."""
    chats = [Chat(text, USER, answer) for text in (SYSTEM, "") for answer in (ANSWER, None)]
    return chat_template.render(tokenizer, chats)


@lru_cache(maxsize=8)
def _written(tokenizer: Any, template: str) -> list[str]:
    """As `written`; the template is there to tell it from the tokenizer's other ones."""
    nothing = {name: "" for name in (SYSTEM, USER, ANSWER)}
    rendered = _rendered(tokenizer, template)
    return [fill(text, nothing) for text in rendered if not isinstance(text, Failed)]


@lru_cache(maxsize=8)  # training renders a few prompts at a time
def _found(tokenizer: Any, template: str, system: bool, prefix: bool) -> Frame:
    """As `find`; the template is there to tell it from the tokenizer's other ones."""
    with_system, its_head, without, head = _rendered(tokenizer, template)
    if system:
        frame = _frame(with_system, its_head, prefix, (SYSTEM, USER))
        if frame is not None:
            return frame
    frame = _frame(without, head, prefix, (USER,))
    if frame is None:
        raise UserError(_missing(without if prefix else head))
    if system:
        return frame
    other = _frame(with_system, its_head, prefix, (SYSTEM, USER))
    added = "" if other is None else _more(_before(frame), _before(other).replace(SYSTEM, ""))
    return replace(frame, added=added)


def _frame(
    answered: str | Failed, head: str | Failed, prefix: bool, names: tuple[str, ...]
) -> Frame | None:
    """From a chat with an answer and one that asks for it; None where a text is not in them."""
    system = SYSTEM in names
    text = None if isinstance(answered, Failed) else cut(answered)
    if isinstance(head, Failed) or not _in_order(head, names):
        head = ""
    if text is not None and _in_order(text, names):
        # Both end at the same place: the template's own way to ask for an answer is the better one.
        bare = head if head.rstrip() == text.rstrip() else text.rstrip(" ")
        return Frame(text, bare, system, True)
    if head and not prefix:
        return Frame(head, head, system, False)
    return None


def _in_order(text: str, names: tuple[str, ...]) -> bool:
    """Whether stand-ins are in a text, the first before the last of the next."""
    places = [(text.find(name), text.rfind(name)) for name in names]
    starts, ends = [first for first, _ in places], [last for _, last in places]
    return min(starts) >= 0 and all(a < b for a, b in zip(starts, ends[1:], strict=False))


def _missing(rendered: str | Failed) -> str:
    """One line on what is wrong with a rendered chat."""
    if isinstance(rendered, Failed):
        return f"{WHERE} fails: {rendered.reason}"
    if USER not in rendered:
        return (
            f"{WHERE} drops the user's message, expected it in the prompt; "
            "it may want messages as lists of parts, for text and images"
        )
    return f"{WHERE} drops the start of the answer, expected it after the question"


def _before(frame: Frame) -> str:
    """What a template writes before the user's text."""
    return frame.text.partition(USER)[0]


def _more(text: str, other: str) -> str:
    """What a text has between its head and its end that another one has not."""
    head = next(
        (i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b),
        min(len(text), len(other)),
    )
    most = min(len(text), len(other)) - head
    end = next((i for i in range(most) if text[-1 - i] != other[-1 - i]), most)
    return text[head : len(text) - end].strip()
