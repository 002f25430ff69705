"""What patches add to the truth of each statement, from a table of patched runs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib.patching import patch, patched_runs
from stages.lib.patching.cases import Cases


@dataclass(frozen=True)
class Gains:
    """What each patch adds to the truth and to the accuracy of each statement.

    Attributes
    ----------
    layers : list of range
        First to last layer that each patch writes.
    truth, accuracy : ndarray of shape (n_patches, n_statements), float64
        Patched run minus base run.
    subject, part : ndarray of shape (n_statements,), str
        Of each statement.
    """

    layers: list[range]
    truth: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    subject: NDArray[Any]
    part: NDArray[Any]


def gains(runs: pl.DataFrame, about: Cases, base: str) -> Gains:
    """Put a table of patched runs into arrays.

    Parameters
    ----------
    runs : DataFrame
        Patched runs, and the base run, with the columns of `patched_runs.SCHEMA`.
    about : Cases
        The statements of the runs.
    base : str
        Persona of the base run.

    Returns
    -------
    Gains
        Patches by first layer, then by name; statements by `statement_id`.
    """
    low = patched_runs.probabilities(runs, base=base, patch_id="none")
    patched = runs.filter(pl.col("patch_id") != "none").with_columns(
        first=pl.col("heads").list.first().struct.field("layer"),
        last=pl.col("heads").list.last().struct.field("layer"),
    )
    layers, truth, accuracy = [], [], []
    for _, rows in patched.sort("first", "patch_id").group_by("patch_id", maintain_order=True):
        high = rows.sort("statement_id").select("p_true", "p_false").to_numpy()
        layers.append(range(rows["first"][0], rows["last"][0] + 1))
        truth.append(patch.truth(high, about.label) - patch.truth(low, about.label))
        right = patch.correct(high, about.label).astype(np.float64)
        accuracy.append(right - patch.correct(low, about.label))
    shape = (len(layers), len(about.label))
    return Gains(
        layers,
        np.array(truth, np.float64).reshape(shape),
        np.array(accuracy, np.float64).reshape(shape),
        about.subject,
        about.table["part"].to_numpy(),
    )
