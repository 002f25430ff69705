"""Further wordings of both personas, from params.yaml."""

from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

from stages.lib.io import params
from stages.lib.io.cli import UserError
from stages.lib.io.ranges import Question, Slug

DEFAULT = "default"  # the wording of section `prompt`


@dataclass(frozen=True)
class Rewording:
    """Question, system prompts and prefixes of both personas' prompts.

    Attributes
    ----------
    question : str
        User turn of both personas, with a place for the statement.
    source_system, source_prefix : str
        System prompt and forced start of the answer, for the persona whose z is patched in.
    base_system, base_prefix : str
        The same for the persona whose run is patched.
    """

    question: str
    source_system: str
    source_prefix: str
    base_system: str
    base_prefix: str


def of_prompt(source: str, base: str) -> Rewording:
    """Return the wording of section `prompt` for two personas."""
    return Rewording(
        params.wording("question"),
        params.wording(f"{source}_system"),
        params.wording(f"{source}_prefix"),
        params.wording(f"{base}_system"),
        params.wording(f"{base}_prefix"),
    )


def named(where: str, wordings: dict[Any, Any], default: Rewording) -> dict[str, Rewording]:
    """Read named wordings; a missing key takes the default wording's text.

    Parameters
    ----------
    where : str
        File and key, for messages.
    wordings : dict
        Name -> the keys of `Rewording`, and ``prefix``, which stands for both personas' prefixes.
    default : Rewording
        The wording of section `prompt`.

    Returns
    -------
    dict of str to Rewording
        In the given order, without the default one.

    Raises
    ------
    UserError
        If a name is no slug or is taken, a key is unknown, a value is no text, the question has no
        place for the statement, both personas would get the same prompts, or two wordings are the
        same.
    """
    result: dict[str, Rewording] = {}
    names: dict[Rewording, str] = {default: "that of section prompt"}
    for name, texts in wordings.items():
        params.typed(where, name, Annotated[str, Slug(DEFAULT)])
        result[name] = _wording(f"{where}.{name}", texts, default)
        if result[name] in names:
            raise UserError(f"{where}.{name}: the same wording as {names[result[name]]}")
        names[result[name]] = name
    return result


def _wording(where: str, texts: Any, default: Rewording) -> Rewording:
    """One wording, checked."""
    keys = [field.name for field in fields(Rewording)] + ["prefix"]
    if not isinstance(texts, dict):
        raise UserError(f"{where}: expected some of {', '.join(keys)}, found {texts!r}")
    for key, text in texts.items():
        if key not in keys:
            raise UserError(f"{where}.{key}: unknown key, expected some of {', '.join(keys)}")
        expected = Annotated[str, Question()] if key == "question" else str
        params.typed(f"{where}.{key}", text, expected)
    shared_prefix = texts.get("prefix")
    prefixes = (
        {}
        if shared_prefix is None
        else {"source_prefix": shared_prefix, "base_prefix": shared_prefix}
    )
    set_texts = {key: text for key, text in texts.items() if key != "prefix"}
    wording = replace(default, **prefixes | set_texts)
    source = wording.source_system, wording.source_prefix
    if source == (wording.base_system, wording.base_prefix):
        raise UserError(f"{where}: source and base have the same system prompt and prefix")
    return wording
