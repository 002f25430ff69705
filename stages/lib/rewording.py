"""Statements in other wordings than that of section `prompt`, rendered as stage `prompts` does."""

from dataclasses import fields
from typing import Any

from stages.lib import chat
from stages.lib.cases import Cases
from stages.lib.wordings import Wording


def refuse_special_tokens(where: str, wording: Wording, default: Wording, tokenizer: Any) -> None:
    """Raise `UserError` where a text of a wording holds a special token: it could forge a turn."""
    for field in fields(wording):
        text = getattr(wording, field.name)
        if text != getattr(default, field.name):
            chat.refuse_special_tokens(tokenizer, f"{where}.{field.name}", text)


def reworded(found: Cases, statements: dict[str, str], wording: Wording, tokenizer: Any) -> Cases:
    """The same cases with the prompts of another wording.

    Parameters
    ----------
    found : Cases
        Known statements.
    statements : dict of str to str
        Text of each, by `statement_id`.
    wording : Wording
        What their prompts are made from.
    tokenizer : PreTrainedTokenizerBase
        The model's; stage `prompts` has checked its template, and the statements.

    Returns
    -------
    Cases
        Row by row about the same statements.
    """
    texts = [statements[key] for key in found.table["statement_id"]]

    def prompts(system: str, prefix: str) -> list[list[int]]:
        rendered = (chat.render(tokenizer, system, wording.question, prefix, x) for x in texts)
        return [chat.encode(tokenizer, text) for text in rendered]

    source = prompts(wording.source_system, wording.source_prefix)
    return Cases(found.table, source, prompts(wording.base_system, wording.base_prefix))
