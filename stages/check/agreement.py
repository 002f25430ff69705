"""Checks that concern several sections of params.yaml at once."""

from collections.abc import Sequence
from typing import Annotated

from stages.lib.facts import TOPICS
from stages.lib.io import params
from stages.lib.io.cli import UserError
from stages.lib.io.ranges import OneOf, Question
from stages.lib.patching.config import PatchConfig
from stages.lib.weights.recipe import Confined, Recipe, Training
from stages.robustness import wordings
from stages.robustness.config import RobustnessConfig
from stages.wordings.config import GridConfig

ENDS = ("system", "prefix")
QUESTION = Annotated[str, Question()]


def require_personas(roles: PatchConfig, neutral: str) -> None:
    """Check the personas that sections name, and their wordings.

    Parameters
    ----------
    roles : PatchConfig
        Section `patch`.
    neutral : str
        The persona that decides what the model knows.

    Raises
    ------
    UserError
        If a persona is not declared, `neutral` is also the source or the base, or two personas have
        the same wording.
    """
    declared = params.personas()
    named = {"patch.source": roles.source, "patch.base": roles.base, "behaviour.neutral": neutral}
    for key, name in named.items():
        if name not in declared:
            raise UserError(
                f"params.yaml: {key}: unknown persona {name!r}, "
                f"expected one of {', '.join(declared)}"
            )
    for key in ("patch.source", "patch.base"):
        if neutral == named[key]:
            raise UserError(
                f"params.yaml: behaviour.neutral: found {neutral!r}, which is {key}, expected "
                "another persona: what is reported must not decide what is known"
            )
    texts: dict[tuple[str, ...], str] = {}
    for name in declared:
        text = tuple(params.wording(f"{name}_{end}") for end in ENDS)
        if text in texts:
            raise UserError(
                f"params.yaml: personas: {texts[text]!r} and {name!r} have the same system prompt "
                "and prefix, expected two wordings"
            )
        texts[text] = name


def require_wordings(section: GridConfig) -> None:
    """Check the texts of section `prompt`, for personas and for the grid.

    Parameters
    ----------
    section : GridConfig
        Section `grid`. Two of its names may have the same text: a persona reworded with -S may
        get the text of another name.

    Raises
    ------
    UserError
        If a key of `prompt` is missing or unknown, or the question has no placeholder for the
        statement.
    """
    params.typed("params.yaml: prompt.question", params.wording("question"), QUESTION)
    known_names = {f"{name}_{end}" for name in params.personas() for end in ENDS}
    known_names |= {"question"} | {f"{name}_system" for name in section.systems}
    for key in params.mapping()["prompt"]:
        if key not in known_names:
            raise UserError(
                f"params.yaml: prompt.{key}: unknown key, expected one of "
                f"{', '.join(sorted(known_names))}"
            )
    for name in section.systems:
        params.wording(f"{name}_system")


def require_rewordings(section: RobustnessConfig, roles: PatchConfig) -> None:
    """Raise `UserError` if a wording of section `robustness` is invalid, or equals another."""
    default = wordings.of_prompt(roles.source, roles.base)
    wordings.named("params.yaml: robustness.wordings", section.wordings, default)


def require_organisms(
    model: str | None, benchmark: Sequence[str], recipes: dict[str, Recipe], training: Training
) -> None:
    """Check the names of organisms and of the topics that they are taught.

    Parameters
    ----------
    model : str or None
        `model.organism`.
    benchmark : sequence of str
        `benchmark.organisms`.
    recipes : dict of str to Recipe
        By name.
    training : Training
        Section `organisms.training`.

    Raises
    ------
    UserError
        If a name has no recipe, or a topic is not built in.
    """
    names = sorted(recipes)
    if model is not None and model not in recipes:
        raise UserError(
            f"params.yaml: model.organism: unknown organism {model!r}, expected "
            f"{' or '.join(['null', *names])}"
        )
    starts = {
        f"organisms.{k}.start": of.start for k, of in recipes.items() if isinstance(of, Confined)
    }
    listed = {f"benchmark.organisms[{i}]": name for i, name in enumerate(benchmark)}
    for key, name in (starts | listed).items():
        if name not in recipes:
            raise UserError(
                f"params.yaml: {key}: unknown organism {name!r}, expected {' or '.join(names)}"
            )
    topics = tuple[Annotated[str, OneOf(*TOPICS)], ...]
    params.typed("params.yaml: organisms.training.topics", list(training.topics), topics)
