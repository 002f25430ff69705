"""Render statements in wordings other than that of section `prompt`, as stage `prompts` does."""

from stages.lib import chat
from stages.lib.chat import Named
from stages.lib.io import row_order
from stages.lib.model.lm import LanguageModel
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.robustness.wordings import Rewording


def reworded(
    where: str,
    pairs: PromptPairs,
    statements: dict[str, Named],
    wording: Rewording,
    model: LanguageModel,
) -> PromptPairs:
    """Return the same pairs with prompts of another wording.

    Parameters
    ----------
    where : str
        File and key of the wording, for messages.
    pairs : PromptPairs
        Known statements.
    statements : dict of str to tuple of str and str
        Origin and text of each statement, by `statement_id`.
    wording : Rewording
        Question, system prompts and prefixes of the new prompts.
    model : LanguageModel
        The model that reads the prompts.

    Returns
    -------
    PromptPairs
        The same statements, row by row.

    Raises
    ------
    UserError
        As in `chat.prompts`; also if both personas' prompts for a statement are the same.
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
