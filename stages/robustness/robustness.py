"""Head sets chosen on one split or one wording, and scored on others."""

from dataclasses import dataclass

import numpy as np

from stages.lib.forward import Readouts
from stages.lib.patching import patch
from stages.lib.patching.cases import Cases
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.patch import Head
from stages.robustness import head_sets
from stages.robustness.head_sets import SEARCH, SPLIT, WORDING, HeadSet, Singles, reversible


@dataclass(frozen=True)
class Alone:
    """Runs of one wording that sets are chosen by.

    Attributes
    ----------
    wording : str
        Its name.
    cases : Cases
        The statements.
    heads : list of Head
        Heads of the window.
    readouts : Readouts
        Each head alone, from the source into the base run.
    """

    wording: str
    cases: Cases
    heads: list[Head]
    readouts: Readouts

    @property
    def singles(self) -> Singles:
        """Truth that each head gains."""
        label = self.cases.label
        patched, base = (patch.truth(p, label) for p in (self.readouts.patched, self.readouts.base))
        split = self.cases.table["split"].to_numpy()
        return Singles(patched - base, split, self.cases.subject)


@dataclass(frozen=True)
class Scored:
    """Runs of one wording on statements that no set was chosen on.

    Attributes
    ----------
    wording : str
        Its name.
    cases : Cases
        The statements.
    into_base : Readouts
        Every set, from the source into the base run.
    into_source : Readouts
        Sets that were chosen on all splits, from the base into the source run.
    """

    wording: str
    cases: Cases
    into_base: Readouts
    into_source: Readouts


def choose(
    alone: dict[str, Alone], search: list[Head], every: list[Head], default: str
) -> list[HeadSet]:
    """Choose sets of one size: on each split of the default wording, and on each wording.

    Parameters
    ----------
    alone : dict of str to Alone
        What each head does alone, by wording.
    search : list of Head
        The set of stage `heads`, which comes first and gives the size; empty: no set is chosen.
    every : list of Head
        Heads of the window.
    default : str
        The wording whose splits are looked at apart.
    """
    if not search:
        return []
    chosen = {(SEARCH, "heads"): np.array([head in search for head in every])}
    singles = {name: each.singles for name, each in alone.items()}
    own = singles[default]
    chosen |= {
        (SPLIT, name): members
        for name, members in head_sets.by_group(own, own.split, len(search)).items()
    }
    chosen |= {
        (WORDING, name): head_sets.best(found.gain.mean(axis=1), len(search))
        for name, found in singles.items()
        if found.gain.size
    }
    return [
        HeadSet(*names, members, [head for head, m in zip(every, members, strict=True) if m])
        for names, members in chosen.items()
    ]


def alone(wording: str, setting: Experiment, heads: list[Head]) -> Alone:
    """Patch each of some heads alone."""
    patches = patch.of_heads([[head] for head in heads], *setting.shape)
    readouts = setting.patcher()(patches, f"heads alone, {wording}")
    return Alone(wording, setting.cases, heads, readouts)


def score(wording: str, setting: Experiment, sets: list[HeadSet]) -> Scored:
    """Patch every set, and those that were chosen on all splits in the other direction too."""
    forth, back = (
        patch.of_heads([one.heads for one in some], *setting.shape)
        for some in (sets, reversible(sets))
    )
    into_base = setting.patcher()(forth, f"sets into base, {wording}")
    into_source = setting.reverse()(back, f"sets into source, {wording}")
    return Scored(wording, setting.cases, into_base, into_source)
