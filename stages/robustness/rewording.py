"""Statements in other wordings than that of section `prompt`, rendered as stage `prompts` does."""

from stages.lib import chat
from stages.lib.chat import Named
from stages.lib.io import row_order
from stages.lib.model.lm import LanguageModel
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.robustness.wordings import Wording


def reworded(
    where: str,
    pairs: PromptPairs,
    statements: dict[str, Named],
    wording: Wording,
    model: LanguageModel,
) -> PromptPairs:
    """The same pairs with the prompts of another wording.

    Parameters
    ----------
    where : str
        File and key of the wording, for messages.
    pairs : PromptPairs
        Known statements.
    statements : dict of str to tuple of str and str
        Where each comes from and its text, by `statement_id`.
    wording : Wording
        What their prompts are made from.
    model : LanguageModel
        The model that is to read them.

    Returns
    -------
    PromptPairs
        Row by row about the same statements.

    Raises
    ------
    UserError
        As `chat.prompts`; and if both personas get the same token ids.
    """
    named = [statements[key] for key in pairs.table["statement_id"]]

    def prompts(role: str, system: str, prefix: str) -> chat.Prompts:
        keys = f"{where}.{role}_system", f"{where}.question", f"{where}.{role}_prefix"
        texts = chat.Wording(system, wording.question, prefix, keys)
        return chat.prompts(model.tokenizer, texts, named, model.model.config)

    source = prompts("source", wording.source_system, wording.source_prefix)
    base = prompts("base", wording.base_system, wording.base_prefix)
    ids = (source.token_ids, base.token_ids)
    row_order.require_apart(f"{where}: source and base persona", *ids)
    return PromptPairs(pairs.table, *ids, source.prefix_ids, base.prefix_ids)
