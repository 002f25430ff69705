"""What patches add to the p_correct of each statement, from a table of patched runs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib.patching import patch, patched_runs
from stages.lib.patching.prompt_pairs import PromptPairs


@dataclass(frozen=True)
class Effects:
    """What each patch adds to the p_correct and to the accuracy of each statement.

    Attributes
    ----------
    layers : list of range
        First to last layer that each patch writes.
    p_correct, accuracy : ndarray of shape (n_patches, n_statements), float64
        Patched run minus base run.
    subject, split : ndarray of shape (n_statements,), str
        Of each statement.
    """

    layers: list[range]
    p_correct: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    subject: NDArray[Any]
    split: NDArray[Any]


def effects(runs: pl.DataFrame, about: PromptPairs, base: str) -> Effects:
    """Put a table of patched runs into arrays.

    Parameters
    ----------
    runs : DataFrame
        Patched runs, and the base run, with the columns of `patched_runs.SCHEMA`.
    about : PromptPairs
        The statements of the runs.
    base : str
        Persona of the base run.

    Returns
    -------
    Effects
        Patches by first layer, then by name; statements by `statement_id`.
    """
    low = patched_runs.probabilities(runs, base=base, patch_id="none")
    patched = runs.filter(pl.col("patch_id") != "none").with_columns(
        first=pl.col("heads").list.first().struct.field("layer"),
        last=pl.col("heads").list.last().struct.field("layer"),
    )
    layers, p_correct, accuracy = [], [], []
    for _, rows in patched.sort("first", "patch_id").group_by("patch_id", maintain_order=True):
        high = rows.sort("statement_id").select("p_true", "p_false").to_numpy()
        layers.append(range(rows["first"][0], rows["last"][0] + 1))
        p_correct.append(patch.p_correct(high, about.label) - patch.p_correct(low, about.label))
        right = patch.correct(high, about.label).astype(np.float64)
        accuracy.append(right - patch.correct(low, about.label))
    shape = (len(layers), len(about.label))
    return Effects(
        layers,
        np.array(p_correct, np.float64).reshape(shape),
        np.array(accuracy, np.float64).reshape(shape),
        about.subject,
        about.table["split"].to_numpy(),
    )
