"""Head sets chosen by the effect of each head patched in alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.lib.patching import patch
from stages.lib.patching.patch import Head

TOPIC, WORDING, SEARCH = "topic", "wording", "search"  # what a set was chosen on
Members = NDArray[np.bool_]


@dataclass(frozen=True)
class NamedSet:
    """Some heads of the best window.

    Attributes
    ----------
    chosen_on : str
        ``topic`` (one topic, default wording), ``wording`` (all topics, one wording) or ``search``
        (the set of stage `heads`).
    name : str
        Name of the topic or wording; ``heads`` for ``search``.
    members : ndarray of shape (n_candidates,), bool
        Which of the window's heads are in the set.
    heads : list of Head
        The same heads, by layer and head.
    """

    chosen_on: str
    name: str
    members: Members
    heads: list[Head]


@dataclass(frozen=True)
class Singles:
    """Effect of each head of a window, patched in alone.

    Attributes
    ----------
    gain : ndarray of shape (n_heads, n_statements), float64
        p_correct of the patched run minus that of the base run.
    topic, subject : ndarray of shape (n_statements,), str
        Topic and subject of each statement.
    """

    gain: NDArray[np.float64]
    topic: NDArray[Any]
    subject: NDArray[Any]


def by_group(singles: Singles, group: NDArray[Any], size: int) -> dict[str, Members]:
    """Mark the best heads on each group's statements: name of the group -> (n_heads,), bool."""
    return {
        str(name): patch.largest(singles.gain[:, group == name].mean(axis=1), size)
        for name in np.unique(group)
    }


def reversible(sets: list[NamedSet]) -> list[NamedSet]:
    """Return the sets chosen on all topics, which are also patched in the other direction."""
    return [head_set for head_set in sets if head_set.chosen_on != TOPIC]
