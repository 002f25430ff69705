"""Renders wordings and statements as prompts, and tokenises them; no other package tokenises.

A prompt contains the given texts unchanged, in this order: system prompt, question with the
statement in it, prefix. The prompt ends with the prefix. If a template or a tokenizer does not
allow that, a `UserError` says why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import polars as pl

from stages.lib.chat import context
from stages.lib.chat import frame as chat_frame
from stages.lib.chat import template as chat_template
from stages.lib.chat import tokens as chat_tokens
from stages.lib.chat.frame import ANSWER, SYSTEM, USER, Frame
from stages.lib.chat.template import Failed
from stages.lib.chat.tokens import Named, Reserved
from stages.lib.io.cli import UserError
from stages.lib.io.ranges import PLACEHOLDER

QUOTED = 60  # maximum number of characters quoted in a message
STATEMENTS = ("The", "a", "7", '"')  # begin in different ways, as statements may


@dataclass(frozen=True)
class Wording:
    """What the prompts of a persona are rendered from.

    Attributes
    ----------
    system : str
        System prompt; '' sends no system message, and the template may then add its own.
    question : str
        User turn; ``{statement}`` in it is replaced by the statement.
    prefix : str
        Assistant prefill; '' ends the prompt where the answer begins.
    keys : tuple of str
        Keys of system prompt, question and prefix in params.yaml, for messages.

    References
    ----------
    arXiv:2311.15131, table 1 (system prompts, questions, prefixes).
    """

    system: str
    question: str
    prefix: str
    keys: tuple[str, ...] = ("system", "question", "prefix")

    @property
    def named(self) -> list[Named]:
        """Texts with their keys; the question is split at the placeholder, which is left out."""
        system, question, prefix = self.keys
        pieces = [(question, piece) for piece in self.question.split(PLACEHOLDER)]
        return [(system, self.system), *pieces, (prefix, self.prefix)]


@dataclass(frozen=True)
class Prompts:
    """Prompts in one wording, one per statement.

    Attributes
    ----------
    texts : list of str
        Prompts, with special tokens as text.
    token_ids : list of list of int
        Token ids of each prompt.
    prefix_ids : list of int
        Token ids that all prompts of this wording start with, whatever the statement.
    added : str
        System prompt that the template added because the wording has none; '' otherwise.
    """

    texts: list[str]
    token_ids: list[list[int]]
    prefix_ids: list[int]
    added: str


def prompts(
    tokenizer: Any, wording: Wording, statements: Sequence[Named], config: Any = None
) -> Prompts:
    """Render and tokenise statements in one wording, with the tokenizer's own chat template.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        The model's tokenizer.
    wording : Wording
        The texts around the statements.
    statements : sequence of tuple of str and str
        Origin of each statement (for messages), and the statement; from `named`.
    config : PreTrainedConfig, optional
        The model's config, which limits the length of prompts.

    Returns
    -------
    Prompts
        In the order of the statements. If the template refuses or drops a system message, the
        system prompt stands at the head of the user turn, with a blank line before the question.

    Raises
    ------
    UserError
        If the question has no placeholder, a text or statement contains a token that only the
        template may write, the template or the tokenizer fails, a text would not stand unchanged in
        the prompt, or a prompt is longer than the model can read.
    """
    if PLACEHOLDER not in wording.question:
        raise UserError(f"{wording.keys[1]}: expected {PLACEHOLDER} in it")
    frame = chat_frame.find(tokenizer, bool(wording.system), bool(wording.prefix))
    reserved = chat_tokens.reserved(tokenizer, chat_frame.template_texts(tokenizer))
    reserved.require_none([*wording.named, *statements])
    _require_as_it_is(tokenizer, frame, wording, statements)

    def filled(statement: str) -> str:
        return frame.filled(wording.system, _question(wording, statement), wording.prefix)

    texts = [filled(statement) for _, statement in statements]
    sample_ids = chat_tokens.encode(
        tokenizer, [("", filled(statement)) for statement in STATEMENTS]
    )
    named = [(where, text) for (where, _), text in zip(statements, texts, strict=True)]
    token_ids = chat_tokens.encode(tokenizer, named)
    _require_no_more_turns(reserved, frame, wording, statements, token_ids)
    if config is not None:
        origins = (where for where, _ in statements)
        context.refuse_long_prompts(config, zip(origins, token_ids, strict=True))
    common_tokens = takewhile(lambda tokens: len(set(tokens)) == 1, zip(*sample_ids, strict=False))
    return Prompts(texts, token_ids, [tokens[0] for tokens in common_tokens], frame.added)


def named(statements: pl.DataFrame, file: Any) -> list[Named]:
    """Pair each statement of a table with its origin: a user's file and row, or `file`."""
    rows = statements.select("statement_id", "origin", "statement").iter_rows()
    return [
        (f"{file}: statement {identity}" if origin == "built-in" else origin, text)
        for identity, origin, text in rows
    ]


def remarks(tokenizer: Any, wording: Wording, prompts_made: Prompts) -> list[str]:
    """Describe, one line each, how prompts differ from the given texts.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        The model's tokenizer.
    wording : Wording
        Wording that the prompts are rendered from.
    prompts_made : Prompts
        Output of `prompts`.

    Returns
    -------
    list of str
        Lines about a system prompt that the template adds, and texts that the tokenizer changes.
    """
    lines: list[str] = []
    if prompts_made.added:
        n = len(tokenizer(prompts_made.added, add_special_tokens=False)["input_ids"])
        lines.append(
            f"the chat template adds a system prompt of its own, {n} tokens: "
            f"{_quoted(prompts_made.added)}; a text in {wording.keys[0]} stands in its place, "
            'and for none set " " there'
        )
    pairs = list(zip(prompts_made.texts, prompts_made.token_ids, strict=True))
    lossy_texts = [text for text, ids in pairs if chat_tokens.changed(tokenizer, text, ids)]
    if lossy_texts:
        lines.append(
            f"this model's tokenizer reads other characters in {len(lossy_texts)} of {len(pairs)} "
            f"prompts (no capitals or accents, perhaps), the first: {_quoted(lossy_texts[0])}"
        )
    blanks = wording.prefix[len(wording.prefix.rstrip()) :]
    if not all(chat_tokens.ends_with(tokenizer, ids, blanks) for ids in prompts_made.token_ids):
        lines.append(f"this model's tokenizer drops the blanks at the end of {wording.keys[2]}")
    return lines


def render(tokenizer: Any, system: str, question: str, prefix: str, statement: str) -> str:
    """Render one prompt as text; see `prompts`."""
    wording = Wording(system, question, prefix)
    return prompts(tokenizer, wording, [("statement", statement)]).texts[0]


def encode(tokenizer: Any, text: str) -> list[int]:
    """Tokenise one text of `render`; see `chat_tokens.encode`."""
    return chat_tokens.encode(tokenizer, [("prompt", text)])[0]


def _question(wording: Wording, statement: str) -> str:
    """Put the statement into the question."""
    return wording.question.replace(PLACEHOLDER, statement)


def _require_as_it_is(
    tokenizer: Any, frame: Frame, wording: Wording, statements: Sequence[Named]
) -> None:
    """Raise `UserError` for a text that the template changes by more than whitespace.

    Prompts are made from stand-ins, because templates may trim their texts. A template that cuts a
    text, or looks for a switch in it, would render a different prompt from the text itself.
    """
    system, prefix = wording.system, wording.prefix
    # A template may treat a blank text as no text at all.
    outer_texts = (system if system.strip() or not system else SYSTEM, prefix)
    cases = [
        (where, (outer_texts[0], _question(wording, text), outer_texts[1]))
        for where, text in statements
    ]
    if _first_changed(tokenizer, frame, cases) is None:
        return
    system_stand_in = SYSTEM if system else ""
    single_text_cases = [
        (wording.keys[0], (outer_texts[0], USER, "")),
        (wording.keys[1], (system_stand_in, wording.question.replace(PLACEHOLDER, USER), "")),
        (wording.keys[2], (system_stand_in, USER, prefix)),
    ]
    where, reason = _first_changed(tokenizer, frame, [*single_text_cases, *cases]) or ("", "")
    raise UserError(f"{where}: the chat template of this model {reason}; reword it")


def _first_changed(
    tokenizer: Any, frame: Frame, cases: Sequence[tuple[str, tuple[str, str, str]]]
) -> tuple[str, str] | None:
    """Find the first case that the template fails on or changes by more than whitespace."""
    chats = [frame.chat(*texts) for _, texts in cases]
    for (where, texts), rendered in zip(cases, chat_template.render(tokenizer, chats), strict=True):
        if isinstance(rendered, Failed):
            return where, f"fails on this text: {rendered.reason}"
        text = chat_frame.cut(rendered) if frame.takes_answer else rendered
        if text is None or _solid(text.replace(ANSWER, "")) != _solid(frame.filled(*texts)):
            return where, "changes this text, or acts on what is in it"
    return None


def _require_no_more_turns(
    reserved: Reserved,
    frame: Frame,
    wording: Wording,
    statements: Sequence[Named],
    token_ids: Sequence[Sequence[int]],
) -> None:
    """Raise `UserError` if texts, put together, form a token that only the template may write."""
    texts = [("", frame.filled(wording.system and SYSTEM, USER, wording.prefix and ANSWER))]
    expected = reserved.markers(chat_tokens.encode(reserved.tokenizer, texts)[0])
    for (where, _), ids in zip(statements, token_ids, strict=True):
        if reserved.markers(ids) != expected:
            raise UserError(
                f"{where}: found special tokens of this model in the prompt that its template did "
                "not write: question and statement make them together; reword one of them"
            )


def _solid(text: str) -> str:
    """Remove all whitespace from a text."""
    return "".join(text.split())


def _quoted(text: str) -> str:
    """Quote a text on one line, shortened if it is long."""
    line = " ".join(text.split())
    return repr(line if len(line) <= QUOTED else f"{line[:QUOTED]} …")
