"""Read the runs of `robustness`: the sets, single heads' gains, and every set's answers."""

import numpy as np
import polars as pl

from stages.lib.patching import head_effects, patch, patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.robustness.head_sets import SEARCH, TOPIC, WORDING, NamedSet, Singles, reversible
from stages.robustness.wordings import DEFAULT

UNPATCHED = "unpatched"
KINDS = (SEARCH, TOPIC, WORDING)  # in the order of plots
Answers = dict[tuple[str, str, str], np.ndarray]
"""P(true) and P(false), (n_statements, 2), by what a set was chosen on, its name and the run."""


def candidates(chosen: pl.DataFrame) -> list[Head]:
    """List the window's heads, in order: the heads patched in alone in the runs that choose."""
    return sorted({Head(**head) for heads in chosen["heads"].unique() for head in heads})


def sets_of(scored: pl.DataFrame, window: list[Head], wordings: list[str]) -> list[NamedSet]:
    """List the sets that were scored.

    Parameters
    ----------
    scored : DataFrame
        Runs on the report split, with the columns of `SCHEMA`.
    window : list of Head
        From `candidates`.
    wordings : list of str
        Names of the wordings, in the order of params.yaml.

    Returns
    -------
    list of NamedSet
        The set of stage `heads`, then those of topics, then those of wordings.
    """
    scored_sets = scored.filter(pl.col("set") != "").unique(["chosen_on", "set"])
    sets = []
    for chosen_on, name, heads in scored_sets.select("chosen_on", "set", "heads").iter_rows():
        own = [Head(**head) for head in heads]
        members = np.array([head in own for head in window])
        sets.append(NamedSet(chosen_on, name, members, own))

    def place(head_set: NamedSet) -> tuple[int, int | str]:
        """Sort key of a set."""
        name = wordings.index(head_set.name) if head_set.chosen_on == WORDING else head_set.name
        return KINDS.index(head_set.chosen_on), name

    return sorted(sets, key=place)


def singles(
    about: PromptPairs, chosen: pl.DataFrame, window: list[Head], config: PatchConfig
) -> Singles:
    """Return each window head's gain in p_correct alone, in the default wording.

    Parameters
    ----------
    about : PromptPairs
        The statements of the selection split.
    chosen : DataFrame
        Runs on them, with the columns of `SCHEMA`.
    window : list of Head
        From `candidates`.
    config : PatchConfig
        Section `patch`.
    """
    own = chosen.filter(pl.col("wording") == DEFAULT)

    def p_correct(patch_id: str, source: str) -> np.ndarray:
        """p_correct of one run into the base persona: (n_statements,)."""
        columns = {"patch_id": patch_id, "source": source, "base": config.base}
        return patch.p_correct(patched_runs.probabilities(own, **columns), about.label)

    base = p_correct(patched_runs.UNPATCHED, config.base)
    gain = [
        p_correct(head_effects.name(head_effects.ALONE, [head]), config.source) - base
        for head in window
    ]
    topic = about.table["topic"].to_numpy()
    return Singles(np.reshape(gain, (len(window), len(base))), topic, about.subject)


def answers(
    scored: pl.DataFrame, sets: list[NamedSet], wording: str, config: PatchConfig
) -> Answers:
    """Look up all runs of one wording on the report split, in the order of plots."""
    own = scored.filter(pl.col("wording") == wording)
    answers_by_run = {
        (UNPATCHED, persona, role): patched_runs.probabilities(own, source=persona, base=persona)
        for role, persona in config.personas.items()
    }
    directions = (
        ("patched", sets, config.source, config.base),
        ("reverse", reversible(sets), config.base, config.source),
    )
    for run, directed_sets, source, base in directions:
        for head_set in directed_sets:
            columns = {
                "chosen_on": head_set.chosen_on,
                "set": head_set.name,
                "source": source,
                "base": base,
            }
            answers_by_run[head_set.chosen_on, head_set.name, run] = patched_runs.probabilities(
                own, **columns
            )
    return answers_by_run
