"""Other values patched into a head set than the source's z of the statement itself."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import Tensor

from stages.controls import controls_tables as names
from stages.controls import donors, mean_ablation
from stages.lib.patching import patch, patched_runs
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs

AT_ONCE = 32  # statements whose z is held at a time


def runs(
    setting: Experiment, chosen: list[Head], window: dict[str, int] | None, averaged: PromptPairs
) -> pl.DataFrame:
    """Patch the set, then other heads in its place, then other values into the set.

    Parameters
    ----------
    setting : Experiment
        Over statements of the report split.
    chosen : list of Head
        The set.
    window : dict, or None
        ``first_layer`` and ``last_layer`` of the window that the set was chosen in.
    averaged : PromptPairs
        Statements of the selection split, to average z over.

    Returns
    -------
    DataFrame
        One row per statement and run of `controls_tables.RUNS`, with the columns of
        `controls_tables.SCHEMA`; a statement without a donor has no row in that run. Without a
        set, or without statements, the unpatched runs alone.
    """
    patches = _patches(setting, chosen, window)
    if not chosen or not len(setting.pairs.table):
        into = setting.patcher()(patches[:0], "unpatched")
        unpatched = ((names.SOURCE, into.source), (names.BASE, into.base))
        return pl.concat([_rows(setting, name, p) for name, p in unpatched])
    means = {
        names.MEAN_SELECTION: mean_ablation.mean_z(setting, averaged),
        names.MEAN_REPORT: mean_ablation.mean_z(setting, setting.pairs),
    }
    ids = setting.pairs.table["statement_id"]
    made: list[pl.DataFrame] = []
    for part in donors.parts(setting.pairs.table, AT_ONCE):
        some = replace(setting, pairs=setting.pairs.only(ids.gather(part.rows)))
        own = ids.gather(part.own).implode()
        every = _runs_of(some, patches, means, part.partners)
        made += [run.filter(pl.col("statement_id").is_in(own)) for run in every]
    return pl.concat(made)


def _runs_of(
    setting: Experiment,
    patches: np.ndarray,
    means: dict[str, Tensor],
    partners: dict[bool, NDArray[np.int64]],
) -> Iterator[pl.DataFrame]:
    """Rows of every run over a few statements, whose z is held at once."""
    patcher = setting.patcher(keep=True)
    into = patcher(patches, "set and the rest")
    yield _rows(setting, names.SOURCE, into.source)
    yield _rows(setting, names.BASE, into.base)
    chosen, _, rest_of_window = heads = [patch.heads_of(one) for one in patches]
    in_order = (names.PATCHED, names.REST_OF_LAYERS, names.REST_OF_WINDOW)
    for name, written, p in zip(in_order, heads, into.patched, strict=True):
        yield _rows(setting, name, p, written)
    lied = setting.reverse()(patches[[0, 2]], "the reverse").patched
    yield _rows(setting, names.REVERSE, lied[0], chosen)
    yield _rows(setting, names.REVERSE_REST, lied[1], rest_of_window)
    base_z, source_z = patcher.z("z of both runs")
    for name, mean in means.items():
        p = patcher(patches[:1], name, z=mean.expand_as(source_z)).patched[0]
        yield _rows(setting, name, p, chosen)
    for name, z, same in (
        (names.SAME_LABEL, source_z, True),
        (names.OTHER_LABEL, source_z, False),
        (names.BASE_OTHER_LABEL, base_z, False),
    ):
        donor = partners[same]
        lent = z[:, np.where(donor >= 0, donor, 0)]  # a statement without a donor gets no row
        p = patcher(patches[:1], name, z=lent).patched[0]
        yield _rows(setting, name, p, chosen, donor)


def _patches(setting: Experiment, chosen: list[Head], window: dict[str, int] | None) -> np.ndarray:
    """The set, the other heads of its layers, the other heads of the window."""
    own = patch.of_heads([chosen], *setting.shape)[0]
    layers = np.broadcast_to(own.any(axis=1, keepdims=True), own.shape)
    whole = patch.of_heads([patch.of_window(window, setting.shape[1])], *setting.shape)[0]
    return np.stack([own, layers & ~own, whole & ~own])


def _rows(
    setting: Experiment,
    name: str,
    probabilities: np.ndarray,
    heads: list[Head] | None = None,
    donor: NDArray[np.int64] | None = None,
) -> pl.DataFrame:
    """One run's rows; `donor` is the row of the statement that gives z, -1 without one."""
    source, base = (getattr(setting.config, role) for role in names.RUNS[name])
    table = patched_runs.rows(setting.pairs, probabilities, source, base, name, heads or [])
    if donor is None:
        return table.with_columns(run=pl.lit(name), donor=pl.lit(""))
    lender = setting.pairs.table["statement_id"].gather(np.maximum(donor, 0))
    table = table.with_columns(run=pl.lit(name), donor=lender)
    return table.filter(pl.Series(donor >= 0, dtype=pl.Boolean))
