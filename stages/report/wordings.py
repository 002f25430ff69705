"""Every wording that the pipeline runs, by its name in tables and pictures."""

from collections.abc import Iterator, Sequence

from stages.lib.io import params
from stages.lib.patching.config import PatchConfig
from stages.lib.results import markdown
from stages.report.page import PromptText
from stages.wordings.config import GridConfig

SYSTEM, QUESTION, PREFIX = "system prompt", "question", "assistant prefill"
GRID = "grid of wordings"
TEMPLATE = "none given: the chat template may add its own"
"""What the report writes for an empty system prompt."""
NO_SYSTEM = "no system prompt"
"""What the report writes for a blank system prompt: see section `prompt` of params.yaml."""


def every(
    roles: PatchConfig,
    personas: tuple[str, Sequence[str]],
    grid: GridConfig,
    rewordings: dict[str, dict[str, str]],
) -> list[PromptText]:
    """List the wordings of params.yaml.

    Parameters
    ----------
    roles : PatchConfig
        Section `patch`.
    personas : tuple of str and sequence of str
        The persona that decides what is known, and all personas.
    grid : GridConfig
        Section `grid`.
    rewordings : dict of str to dict
        Further wordings, in which head sets are chosen and scored.
    """
    neutral, names = personas
    return [*_personas(roles, neutral, names), *_grid(roles, names, grid), *_rewordings(rewordings)]


def _personas(roles: PatchConfig, neutral: str, names: Sequence[str]) -> Iterator[PromptText]:
    """Yield system prompt and prefill of each persona, and the question, which all share."""
    uses = {
        neutral: "decides which statements are known",
        roles.source: "source of patches",
        roles.base: "base of patches: the run that lies",
    }
    yield PromptText("", QUESTION, _text(params.wording("question")), "all personas")
    for name in names:
        use = uses.get(name, "comparison")
        yield PromptText(f"`{name}`", SYSTEM, system(params.wording(f"{name}_system")), use)
        yield PromptText(f"`{name}`", PREFIX, _text(params.wording(f"{name}_prefix")), use)


def _grid(roles: PatchConfig, names: Sequence[str], grid: GridConfig) -> Iterator[PromptText]:
    """Yield the parts of the grid that belong to no persona."""
    texts = {params.wording(f"{name}_system"): name for name in names}
    for name in grid.systems:
        if name in names:
            continue
        text = params.wording(f"{name}_system")
        same = f", the text of `{texts[text]}`" if text in texts else ""
        yield PromptText(f"`{name}`", SYSTEM, system(text), f"{GRID}{same}")
    for part, part_texts, default in (
        (QUESTION, grid.questions, "question"),
        (PREFIX, grid.prefixes, f"{roles.base}_prefix"),
    ):
        for name, text in part_texts.items():
            quoted_text = _text(params.wording(default) if text is None else text)
            yield PromptText(f"`{name}`", part, quoted_text, GRID)


def _rewordings(rewordings: dict[str, dict[str, str]]) -> Iterator[PromptText]:
    """Yield further wordings in which head sets are chosen and scored; other parts are as above."""
    parts = {
        "question": QUESTION,
        "source_system": f"{SYSTEM}, source",
        "base_system": f"{SYSTEM}, base",
        "source_prefix": f"{PREFIX}, source",
        "base_prefix": f"{PREFIX}, base",
        "prefix": f"{PREFIX}, both",
    }
    for name, part_texts in rewordings.items():
        for key, text in part_texts.items():
            quoted_text = system(text) if key.endswith("system") else _text(text)
            yield PromptText(f"`{name}`", parts[key], quoted_text, "head sets in other wordings")


def system(text: str) -> str:
    """Quote a system prompt; an empty one leaves it to the template, and a blank is none at all."""
    return TEMPLATE if not text else _text(text) if text.strip() else NO_SYSTEM


def _text(text: str) -> str:
    """Quote a text."""
    return f"“{markdown.text(text)}”"
