"""Head sets chosen on one topic or wording, and scored on others."""

from dataclasses import dataclass

import numpy as np

from stages.lib.forward import Readouts
from stages.lib.patching import patch
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.robustness import head_sets
from stages.robustness.head_sets import SEARCH, TOPIC, WORDING, HeadSet, Singles, reversible


@dataclass(frozen=True)
class Alone:
    """Runs of one wording that sets are chosen by.

    Attributes
    ----------
    wording : str
        Its name.
    pairs : PromptPairs
        The statements.
    heads : list of Head
        Heads of the window.
    readouts : Readouts
        Each head alone, from the source into the base run.
    """

    wording: str
    pairs: PromptPairs
    heads: list[Head]
    readouts: Readouts

    @property
    def singles(self) -> Singles:
        """p_correct that each head gains."""
        label = self.pairs.label
        patched, base = (
            patch.p_correct(p, label) for p in (self.readouts.patched, self.readouts.base)
        )
        topic = self.pairs.table["topic"].to_numpy()
        return Singles(patched - base, topic, self.pairs.subject)


@dataclass(frozen=True)
class Scored:
    """Runs of one wording on statements that no set was chosen on.

    Attributes
    ----------
    wording : str
        Its name.
    pairs : PromptPairs
        The statements.
    into_base : Readouts
        Every set, from the source into the base run.
    into_source : Readouts
        Sets that were chosen on all topics, from the base into the source run.
    """

    wording: str
    pairs: PromptPairs
    into_base: Readouts
    into_source: Readouts


def choose(
    alone: dict[str, Alone], search: list[Head], every: list[Head], default: str
) -> list[HeadSet]:
    """Choose sets of one size: on each topic of the default wording, and on each wording.

    Parameters
    ----------
    alone : dict of str to Alone
        What each head does alone, by wording.
    search : list of Head
        The set of stage `heads`, which comes first and gives the size; empty: no set is chosen.
    every : list of Head
        Heads of the window.
    default : str
        The wording in which a set is chosen on each topic.
    """
    if not search:
        return []
    chosen = {(SEARCH, "heads"): np.array([head in search for head in every])}
    singles = {name: runs.singles for name, runs in alone.items()}
    own = singles[default]
    chosen |= {
        (TOPIC, name): members
        for name, members in head_sets.by_group(own, own.topic, len(search)).items()
    }
    chosen |= {
        (WORDING, name): head_sets.best(one.gain.mean(axis=1), len(search))
        for name, one in singles.items()
        if one.gain.size
    }
    return [
        HeadSet(*names, members, [head for head, m in zip(every, members, strict=True) if m])
        for names, members in chosen.items()
    ]


def alone(wording: str, setting: Experiment, heads: list[Head]) -> Alone:
    """Patch each of some heads alone."""
    patches = patch.of_heads([[head] for head in heads], *setting.shape)
    readouts = setting.patcher()(patches, f"heads alone, {wording}")
    return Alone(wording, setting.pairs, heads, readouts)


def score(wording: str, setting: Experiment, sets: list[HeadSet]) -> Scored:
    """Patch every set, and those that were chosen on all topics in the other direction too."""
    forth, back = (
        patch.of_heads([one.heads for one in some], *setting.shape)
        for some in (sets, reversible(sets))
    )
    into_base = setting.patcher()(forth, f"sets into base, {wording}")
    into_source = setting.reverse()(back, f"sets into source, {wording}")
    return Scored(wording, setting.pairs, into_base, into_source)
