"""Statements in other wordings than that of section `prompt`, rendered as stage `prompts` does."""

import re
from dataclasses import dataclass, fields, replace
from typing import Any

from stages.lib import chat
from stages.lib.cases import Cases
from stages.lib.chat import Named
from stages.lib.cli import UserError

DEFAULT = "default"  # the wording of section `prompt`


@dataclass(frozen=True)
class Wording:
    """What the prompts of both personas are made from.

    Attributes
    ----------
    question : str
        User turn of both personas, with a place for the statement.
    source_system, source_prefix : str
        System prompt and forced start of the answer, of the persona that gives z.
    base_system, base_prefix : str
        The same of the persona that is written into.
    """

    question: str
    source_system: str
    source_prefix: str
    base_system: str
    base_prefix: str


def named(where: str, wordings: dict[str, Any], default: Wording) -> dict[str, Wording]:
    """Read named wordings; what one leaves out is as in the default one.

    Parameters
    ----------
    where : str
        File and key, for messages.
    wordings : dict
        Name -> the keys of `Wording`, and ``prefix``, which stands for both personas' prefixes.
    default : Wording
        That of section `prompt`.

    Returns
    -------
    dict of str to Wording
        In the given order, without the default one.

    Raises
    ------
    UserError
        If a name is no slug or is taken, a key is unknown or no text, the question has no place
        for the statement, or both personas would get the same prompts.
    """
    result = {}
    for name, texts in wordings.items():
        if not re.fullmatch(r"[a-z0-9_]+", str(name)) or name == DEFAULT:
            raise UserError(
                f"{where}: found {name!r}, expected a name of [a-z0-9_], and not {DEFAULT!r}"
            )
        result[name] = _wording(f"{where}.{name}", texts, default)
    return result


def reworded(
    where: str, found: Cases, statements: dict[str, Named], wording: Wording, tokenizer: Any
) -> Cases:
    """The same cases with the prompts of another wording.

    Parameters
    ----------
    where : str
        File and key of the wording, for messages.
    found : Cases
        Known statements.
    statements : dict of str to tuple of str and str
        Where each comes from and its text, by `statement_id`.
    wording : Wording
        What their prompts are made from.
    tokenizer : PreTrainedTokenizerBase
        The model's.

    Returns
    -------
    Cases
        Row by row about the same statements.

    Raises
    ------
    UserError
        As `chat.prompts`; and if both personas get the same token ids.
    """
    named = [statements[key] for key in found.table["statement_id"]]

    def prompts(role: str, system: str, prefix: str) -> list[list[int]]:
        keys = f"{where}.{role}_system", f"{where}.question", f"{where}.{role}_prefix"
        texts = chat.Wording(system, wording.question, prefix, keys)
        return chat.prompts(tokenizer, texts, named).token_ids

    source = prompts("source", wording.source_system, wording.source_prefix)
    base = prompts("base", wording.base_system, wording.base_prefix)
    if named and source == base:
        raise UserError(f"{where}: source and base have the same token ids for every statement")
    return Cases(found.table, source, base)


def _wording(where: str, texts: Any, default: Wording) -> Wording:
    """One wording, checked."""
    keys = [field.name for field in fields(Wording)] + ["prefix"]
    if not isinstance(texts, dict):
        raise UserError(f"{where}: expected some of {', '.join(keys)}, found {texts!r}")
    for key, text in texts.items():
        if key not in keys:
            raise UserError(f"{where}.{key}: unknown key, expected some of {', '.join(keys)}")
        if not isinstance(text, str):
            raise UserError(f"{where}.{key}: expected str, found {text!r}")
    both = texts.get("prefix")
    prefixes = {} if both is None else {"source_prefix": both, "base_prefix": both}
    own = {key: text for key, text in texts.items() if key != "prefix"}
    wording = replace(default, **prefixes | own)
    if chat.PLACEHOLDER not in wording.question:
        raise UserError(f"{where}.question: expected {chat.PLACEHOLDER} in it")
    source = wording.source_system, wording.source_prefix
    if source == (wording.base_system, wording.base_prefix):
        raise UserError(f"{where}: source and base have the same system prompt and prefix")
    return wording
