"""Runs a model's chat template, which is foreign code, with limits and with a fixed date."""

import contextlib
import importlib
import json
import os
import random
import resource
import signal
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psutil

from stages.lib.io.cli import UserError
from stages.lib.io.narrow import is_dict

SECONDS = 5  # of CPU time for a few conversations; a template takes about 1 ms
SECONDS_EACH = 0.02  # for each further conversation
BYTES = 2**30  # of memory beyond what the process has
CHARACTERS = 1_000_000  # of a prompt, beyond the given texts
# The date that templates read: today's date would make prompts differ from day to day.
NOW = datetime(2025, 1, 1)
# Turns off template switches that let a model think before it answers.
NO_THINKING = {"enable_thinking": False, "thinking": False}
WHERE = "model.source: the chat template of this model"


@dataclass(frozen=True)
class Chat:
    """A conversation for a template to render.

    Attributes
    ----------
    system, user : str
        Texts of these turns; an empty system text means no system turn.
    answer : str or None
        Text of the assistant's turn; None asks for the header of that turn.
    """

    system: str
    user: str
    answer: str | None

    @property
    def messages(self) -> list[dict[str, str]]:
        """The chat in the form that templates read."""
        texts = {"system": self.system or None, "user": self.user, "assistant": self.answer}
        return [{"role": k, "content": text} for k, text in texts.items() if text is not None]


@dataclass(frozen=True)
class Failed:
    """A chat that the template did not render, with a one-line reason."""

    reason: str


def require(tokenizer: Any) -> None:
    """Raise `UserError` if the tokenizer has no chat template, or several and no default."""
    template = tokenizer.chat_template
    if not template:
        raise UserError(
            "model.source: the tokenizer of this model has no chat template; "
            "name a chat or instruct model"
        )
    if is_dict(template) and "default" not in template:
        raise UserError(
            f"model.source: found chat templates {', '.join(sorted(template))} and none named "
            "default; keep one of them in the model's folder, as chat_template.jinja"
        )


def render(tokenizer: Any, chats: Sequence[Chat]) -> list[str | Failed]:
    """Render chats with the tokenizer's own template.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        A tokenizer that `require` accepts.
    chats : sequence of Chat

    Returns
    -------
    list of str or Failed
        One per chat. The template runs in its own process, within the limits of this module, with
        thinking switched off and `NOW` as the date.

    Raises
    ------
    UserError
        If the template exceeds a limit.
    """
    # Imported before the fork, so that its time and memory do not count as the template's.
    importlib.import_module("transformers.utils.chat_template_utils")

    seconds = int(SECONDS + SECONDS_EACH * len(chats))
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        _child(write_end, tokenizer, chats, seconds)
    os.close(write_end)
    try:
        with open(read_end, "rb") as stream:
            output = stream.read()
    finally:
        _, status = os.waitpid(child, 0)
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number in (signal.SIGXCPU, signal.SIGKILL):
        raise UserError(f"{WHERE} has no end: stopped after {seconds} s, expected milliseconds")
    if number:
        name = signal.Signals(number).name
        raise UserError(f"{WHERE} cannot be run: its process was ended by {name}")
    if status:
        raise RuntimeError("rendering failed, see above")
    return [text if text is not None else Failed(why) for text, why in json.loads(output)]


def _child(write_end: int, tokenizer: Any, chats: Sequence[Chat], seconds: int) -> None:
    """Render in this forked process, write the result as JSON, and end the process."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        memory = psutil.Process().memory_info().vms + BYTES
        limits = {
            resource.RLIMIT_CPU: seconds,
            resource.RLIMIT_AS: memory,
            resource.RLIMIT_CORE: 0,
        }
        for kind, limit in limits.items():
            with contextlib.suppress(ValueError, OSError):  # a lower limit may be set already
                resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))
        _stop_the_clock()
        results = json.dumps([_apply(tokenizer, chat) for chat in chats]).encode()
        with open(write_end, "wb") as stream:
            stream.write(results)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _apply(tokenizer: Any, chat: Chat) -> tuple[str | None, str]:
    """Render one chat; return its text, or None and the reason."""
    random.seed(0)  # templates can use random numbers
    try:
        text = tokenizer.apply_chat_template(
            chat.messages,
            tokenize=False,
            add_generation_prompt=chat.answer is None,
            **NO_THINKING,
        )
    except MemoryError:
        return None, f"it needs more than {BYTES >> 30} GiB of memory"
    except Exception as error:  # the template is a program: it may raise anything
        message = " ".join(f"{type(error).__name__}: {error}".split())
        return None, message[:300]
    written = len(text) - sum(len(message["content"]) for message in chat.messages)
    if written > CHARACTERS:
        return None, f"it writes {written:,} characters of its own, expected at most {CHARACTERS:,}"
    return text, ""


def _stop_the_clock() -> None:
    """Make templates that ask for the date read `NOW`."""
    from transformers.utils import chat_template_utils

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return NOW.replace(tzinfo=tz)

    chat_template_utils.datetime = Stopped  # pyright: ignore[reportPrivateImportUsage]
