"""Head sets chosen on one topic or wording, and scored on others."""

from dataclasses import dataclass

import numpy as np

from stages.lib.forward import Readouts
from stages.lib.patching import patch
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.robustness import head_sets
from stages.robustness.head_sets import SEARCH, TOPIC, WORDING, NamedSet, Singles, reversible


@dataclass(frozen=True)
class SingleHeadRuns:
    """Runs of one wording with each head patched in alone; sets are chosen by them.

    Attributes
    ----------
    wording : str
        Name of the wording.
    pairs : PromptPairs
        The statements.
    heads : list of Head
        Heads of the window.
    readouts : Readouts
        Each head alone, patched from the source into the base run.
    """

    wording: str
    pairs: PromptPairs
    heads: list[Head]
    readouts: Readouts

    @property
    def singles(self) -> Singles:
        """Gain in p_correct of each head."""
        label = self.pairs.label
        patched, base = (
            patch.p_correct(p, label) for p in (self.readouts.patched, self.readouts.base)
        )
        topic = self.pairs.table["topic"].to_numpy()
        return Singles(patched - base, topic, self.pairs.subject)


@dataclass(frozen=True)
class SetRuns:
    """Runs of one wording on statements that no set was chosen on.

    Attributes
    ----------
    wording : str
        Name of the wording.
    pairs : PromptPairs
        The statements.
    into_base : Readouts
        Every set, patched from the source into the base run.
    into_source : Readouts
        Sets chosen on all topics, patched from the base into the source run.
    """

    wording: str
    pairs: PromptPairs
    into_base: Readouts
    into_source: Readouts


def choose(
    single_head_runs: dict[str, SingleHeadRuns],
    search: list[Head],
    window_heads: list[Head],
    default: str,
) -> list[NamedSet]:
    """Choose sets of one size: on each topic of the default wording, and on each wording.

    Parameters
    ----------
    single_head_runs : dict of str to SingleHeadRuns
        Runs with each head alone, by wording.
    search : list of Head
        The set of stage `heads`. It comes first and gives the size; if empty, no set is chosen.
    window_heads : list of Head
        Heads of the window.
    default : str
        The wording in which a set is chosen on each topic.
    """
    if not search:
        return []
    members_by_name = {(SEARCH, "heads"): np.array([head in search for head in window_heads])}
    singles = {name: runs.singles for name, runs in single_head_runs.items()}
    default_singles = singles[default]
    members_by_name |= {
        (TOPIC, name): members
        for name, members in head_sets.by_group(
            default_singles, default_singles.topic, len(search)
        ).items()
    }
    members_by_name |= {
        (WORDING, name): patch.largest(one.gain.mean(axis=1), len(search))
        for name, one in singles.items()
        if one.gain.size
    }
    return [
        NamedSet(
            *names, members, [head for head, m in zip(window_heads, members, strict=True) if m]
        )
        for names, members in members_by_name.items()
    ]


def single_head_runs(wording: str, setting: Experiment, heads: list[Head]) -> SingleHeadRuns:
    """Patch in each head alone."""
    patches = patch.of_heads([[head] for head in heads], *setting.shape)
    readouts = setting.patcher()(patches, f"heads alone, {wording}")
    return SingleHeadRuns(wording, setting.pairs, heads, readouts)


def score(wording: str, setting: Experiment, sets: list[NamedSet]) -> SetRuns:
    """Patch every set into the base run, and sets chosen on all topics into the source run too."""
    forth, back = (
        patch.of_heads([one.heads for one in group], *setting.shape)
        for group in (sets, reversible(sets))
    )
    into_base = setting.patcher()(forth, f"sets into base, {wording}")
    into_source = setting.reverse()(back, f"sets into source, {wording}")
    return SetRuns(wording, setting.pairs, into_base, into_source)
