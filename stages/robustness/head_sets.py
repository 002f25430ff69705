"""Head sets chosen by what each head does alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.lib.patching.patch import Head

TOPIC, WORDING, SEARCH = "topic", "wording", "search"  # what a set was chosen on
Members = NDArray[np.bool_]


@dataclass(frozen=True)
class HeadSet:
    """Some heads of the best window.

    Attributes
    ----------
    chosen_on : str
        ``topic`` (of the default wording), ``wording`` (all topics), ``search`` (that of stage
        `heads`).
    name : str
        Which topic or wording.
    members : ndarray of shape (n_candidates,), bool
        Which of the window's heads.
    heads : list of Head
        The same, as places.
    """

    chosen_on: str
    name: str
    members: Members
    heads: list[Head]


@dataclass(frozen=True)
class Singles:
    """What each head of a window does alone.

    Attributes
    ----------
    gain : ndarray of shape (n_heads, n_statements), float64
        p_correct of the patched run minus that of the base run.
    topic, subject : ndarray of shape (n_statements,), str
        Of each statement.
    """

    gain: NDArray[np.float64]
    topic: NDArray[Any]
    subject: NDArray[Any]


def best(effects: NDArray[np.float64], size: int) -> Members:
    """The heads with the largest effects, the first ones where effects are equal.

    Parameters
    ----------
    effects : ndarray of shape (..., n_heads)
        Effect of each head.
    size : int
        How many heads to take.

    Returns
    -------
    ndarray of shape (..., n_heads), bool
    """
    order = np.argsort(-effects, axis=-1, kind="stable")[..., :size]
    members = np.zeros(effects.shape, bool)
    np.put_along_axis(members, order, True, axis=-1)
    return members


def by_group(singles: Singles, group: NDArray[Any], size: int) -> dict[str, Members]:
    """The best heads on the statements of each group: name of the group -> (n_heads,), bool."""
    return {
        str(name): best(singles.gain[:, group == name].mean(axis=1), size)
        for name in np.unique(group)
    }


def reversible(sets: list[HeadSet]) -> list[HeadSet]:
    """Sets that were chosen on all topics: those that are also run in the other direction."""
    return [one for one in sets if one.chosen_on != TOPIC]
