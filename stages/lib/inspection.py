"""Detailed runs of single statements, which stage `inspect` writes and `explorer` reads."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from stages.lib.io import arrays

RUNS = ("source", "base", "patched")
ROLES = ("source", "base")
ARRAYS = ("answers", "lens", "effects", "last", "prefix")


@dataclass(frozen=True)
class Inspection:
    """Detailed runs of some statements.

    Attributes
    ----------
    statement_ids : list of str
        The statements, in the order of the arrays.
    heads : list of list of int
        Layer and head of each head whose attention was read: those of the head set, and of each
        cell that matters those that recover most alone.
    answers : ndarray of shape (n_runs, n_statements, 2), float32
        Log P(true) and log P(false) in each of `RUNS`.
    lens : ndarray of shape (n_runs, n_statements, n_layers + 1, 2), float32
        Logit lens at the last token: the same, from final norm and unembedding of the residual
        stream before each layer and after the last one. Of length 0 along the layers if the model
        does not allow it.
    effects : ndarray of shape (n_statements, n_layers, n_heads), float32
        Attribution patching: estimated effect of patching each head alone on log P(true) - log
        P(false) of the base run.
    last : ndarray of shape (n_roles, n_statements, n_read, n_longest), float32
        Attention of `heads` from the last token, in the run of each of `ROLES`; 0 beyond
        the end of a prompt.
    prefix : ndarray of shape (n_roles, n_read, n_prefix, n_prefix), float32
        Attention of these heads from each token (third axis) of the tokens that all prompts of a
        role begin with, where attention is the same for all statements. The shorter prefix is
        padded with 0.
    reasons : dict of str to str
        By name of an array without measurements: why nothing was measured.
    """

    statement_ids: list[str]
    heads: list[list[int]]
    answers: np.ndarray
    lens: np.ndarray
    effects: np.ndarray
    last: np.ndarray
    prefix: np.ndarray
    reasons: dict[str, str]


def write(out: Path, inspection: Inspection) -> None:
    """Write an inspection as a safetensors file whose bytes depend on it alone."""
    values = asdict(inspection)
    contents = {name: np.asarray(values.pop(name), np.float32) for name in ARRAYS}
    arrays.write(out, contents, values)


def read(file: Path) -> Inspection:
    """Read an inspection that `write` wrote.

    Raises
    ------
    UserError
        If the file is cut or changed, or is not an inspection.
    """
    with arrays.opened(file) as (facts, contents):
        facts |= {name: contents[name] for name in ARRAYS}
        return Inspection(**facts)
