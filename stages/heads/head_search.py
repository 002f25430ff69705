"""The search for the smallest set of heads in a window that keeps what the window does."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stages.lib.forward import Patcher
from stages.lib.patching import patch
from stages.lib.patching.cases import Cases
from stages.lib.patching.patch import Head
from stages.lib.stats import run_points


@dataclass
class Search:
    """Scores head sets by mean truth and remembers every patched run.

    Attributes
    ----------
    patcher : Patcher
        Over the statements of `cases`.
    cases : Cases
        Statements to search on.
    n_layers, n_heads : int
        Sizes of the model.
    runs : dict
        patch_id -> (heads, ndarray of shape (n_statements, 2) with P(true) and P(false)).
    """

    patcher: Patcher
    cases: Cases
    n_layers: int
    n_heads: int
    runs: dict[str, tuple[list[Head], np.ndarray]] = field(default_factory=dict)

    def run(self, sets: dict[str, list[Head]], title: str) -> list[float]:
        """Patch each named set that was not patched before; return the mean truth of each."""
        new = {name: heads for name, heads in sets.items() if name not in self.runs}
        if new:
            patches = patch.of_heads(list(new.values()), self.n_layers, self.n_heads)
            patched = self.patcher(patches, title).patched
            self.runs |= {
                name: (heads, probabilities)
                for (name, heads), probabilities in zip(new.items(), patched, strict=True)
            }
        return [self.point(name)["truth"] for name in sets]

    def point(self, name: str) -> dict[str, Any]:
        """Accuracy with its interval, and truth, of a run."""
        return run_points.point(self.cases, self.runs[name][1])


def search(found: Search, window: dict[str, int], keep: float) -> dict[str, Any]:
    """Write each head of a window alone and leave each out, then grow the set greedily.

    Parameters
    ----------
    found : Search
        Fills with the runs.
    window : dict
        ``first_layer`` and ``last_layer``.
    keep : float
        Share of the window's gain of truth at which the set is large enough.

    Returns
    -------
    dict
        ``heads`` and ``sets``: rows of the plot tables; ``metrics``; ``set``: the heads, the
        window and how they were chosen.

    References
    ----------
    arXiv:2311.15131, figure 4: heads left out, one at a time, of the best window.
    """
    every = patch.of_window(window, found.n_heads)
    low, high = found.run({"none": [], "window": every}, "window")
    points = _single(found, every)

    def score(sets: list[list[Head]]) -> list[float]:
        return found.run({_name(heads): heads for heads in sets}, "greedy")

    steps = patch.greedy(score, every, low, target=low + keep * (high - low))
    sets = _steps(found, steps, high - low)
    heads = sorted(step.head for step in steps if step.head is not None)
    how = f"greedy on the mean probability of the right answer, until {keep} of the window's "
    how += "gain is kept" if high > low else "gain is kept; it gains nothing, so the set is empty"
    return {
        "heads": points,
        "sets": sets,
        "metrics": {
            "n_heads": len(heads),
            "share_of_all_heads": len(heads) / (found.n_layers * found.n_heads),
            "set": sets[-1],
            "window": found.point("window"),
            "base": found.point("none"),
        },
        "set": {
            "heads": heads,
            "window": window,
            "chosen_by": how,
        },
    }


def nothing() -> dict[str, Any]:
    """Return what `search` would where there is no best window."""
    reason = "nothing: there is no best window (see metrics/windows.json)"
    return {
        "heads": [],
        "sets": [],
        "metrics": {"n_heads": None, "share_of_all_heads": None, "chosen_by": reason},
        "set": {"heads": [], "window": None, "chosen_by": reason},
    }


def _single(found: Search, every: list[Head]) -> list[dict[str, Any]]:
    """Rows of each head alone and of each head left out."""
    alone = {_name([h]): [h] for h in every}
    left_out = {f"left_out {h.layer}.{h.head}": [x for x in every if x != h] for h in every}
    found.run(alone, "heads alone")
    found.run(left_out, "heads left out")
    pairs = [("alone", h, name, name, "none") for h, name in zip(every, alone, strict=True)]
    pairs += [
        ("left_out", h, name, "window", name) for h, name in zip(every, left_out, strict=True)
    ]
    return [
        {"measure": measure, "layer": head.layer, "head": head.head}
        | found.point(name)
        | run_points.effect(found.cases, found.runs[high][1], found.runs[low][1])
        for measure, head, name, high, low in pairs
    ]


def _steps(found: Search, steps: list[patch.Step], gain: float) -> list[dict[str, Any]]:
    """Rows of the sets that the search went through, the empty one first."""
    rows, heads = [], []
    for step in steps:
        if step.head is not None:
            heads.append(step.head)
        layer, head = step.head or (None, None)
        kept = (step.score - steps[0].score) / gain if gain > 0 else None
        row = {"size": len(heads), "layer": layer, "head": head}
        rows.append({**row, **found.point(_name(heads)), "kept": kept})
    return rows


def _name(heads: list[Head]) -> str:
    """Name a head set, whatever the order it was found in and whichever step asks for it."""
    kind = ("none", "alone", "set")[min(len(heads), 2)]
    return " ".join([kind, *(f"{h.layer}.{h.head}" for h in sorted(heads))])
