"""Effects of patches on the p_correct of each statement, from a table of patched runs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib.patching import patch, patched_runs
from stages.lib.patching.prompt_pairs import PromptPairs


@dataclass(frozen=True)
class Effects:
    """Effects of each patch on the p_correct and on the correctness of each statement.

    Attributes
    ----------
    layers : list of range
        Layers of each patch, first to last.
    p_correct, accuracy : ndarray of shape (n_patches, n_statements), float64
        Patched run minus base run; an accuracy is 1 or 0 per statement.
    subject, split : ndarray of shape (n_statements,), str
        Subject and split of each statement.
    """

    layers: list[range]
    p_correct: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    subject: NDArray[Any]
    split: NDArray[Any]


def effects(runs: pl.DataFrame, about: PromptPairs, base: str) -> Effects:
    """Collect the effects of patches from a table of patched runs.

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
        Patches sorted by first layer, then by name; statements by `statement_id`.
    """
    base_p = patched_runs.probabilities(runs, base=base, patch_id=patched_runs.UNPATCHED)
    patched = runs.filter(pl.col("patch_id") != patched_runs.UNPATCHED).with_columns(
        first=pl.col("heads").list.first().struct.field("layer"),
        last=pl.col("heads").list.last().struct.field("layer"),
    )
    layers, p_correct, accuracy = [], [], []
    for _, rows in patched.sort("first", "patch_id").group_by("patch_id", maintain_order=True):
        patched_p = patched_runs.probabilities_of(rows.sort("statement_id"))
        layers.append(range(rows["first"][0], rows["last"][0] + 1))
        p_correct.append(
            patch.p_correct(patched_p, about.label) - patch.p_correct(base_p, about.label)
        )
        is_correct = patch.correct(patched_p, about.label).astype(np.float64)
        accuracy.append(is_correct - patch.correct(base_p, about.label))
    shape = (len(layers), len(about.label))
    return Effects(
        layers,
        np.array(p_correct, np.float64).reshape(shape),
        np.array(accuracy, np.float64).reshape(shape),
        about.subject,
        about.table["split"].to_numpy(),
    )
