"""Controls of a head set: other heads, or other values than the source's z, patched in."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import Tensor

from stages.controls import donors, mean_ablation, schema
from stages.lib.patching import layer_window, patch, patched_runs, roles
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.layer_window import Window
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs

AT_ONCE = 32  # statements whose z is held at a time


def runs(
    setting: Experiment,
    set_heads: list[Head],
    best_window: Window | None,
    averaged_pairs: PromptPairs,
) -> pl.DataFrame:
    """Patch the set, then other heads in its place, then other values into its heads.

    Parameters
    ----------
    setting : Experiment
        Over statements of the report split.
    set_heads : list of Head
        Heads of the set.
    best_window : Window or None
        The window that the set was chosen in.
    averaged_pairs : PromptPairs
        Statements of the selection split, to average z over.

    Returns
    -------
    DataFrame
        One row per statement and run of `schema.RUNS`, with the columns of
        `schema.SCHEMA`; a statement without a donor has no row in the run that needs one. Runs of
        other heads are missing if the set is all heads of its layers, or of the window.
        Only the unpatched runs if the set or the statements are empty.
    """
    patches = _patches(setting, set_heads, best_window)
    if not set_heads or not len(setting.pairs.table):
        readouts = setting.patcher()(patches[:0], "unpatched")
        unpatched_runs = ((schema.SOURCE, readouts.source), (schema.BASE, readouts.base))
        return pl.concat([_rows(setting, name, p) for name, p in unpatched_runs])
    means = {
        schema.MEAN_SELECTION: mean_ablation.mean_z(setting, averaged_pairs),
        schema.MEAN_REPORT: mean_ablation.mean_z(setting, setting.pairs),
    }
    ids = setting.pairs.table["statement_id"]
    run_tables: list[pl.DataFrame] = []
    for part in donors.parts(setting.pairs.table, AT_ONCE):
        part_setting = replace(setting, pairs=setting.pairs.only(ids.gather(part.rows)))
        own = ids.gather(part.own).implode()
        part_runs = _runs_of(part_setting, patches, means, part.donor_rows)
        run_tables += [run.filter(pl.col("statement_id").is_in(own)) for run in part_runs]
    return pl.concat(run_tables)


def _runs_of(
    setting: Experiment,
    patches: np.ndarray,
    means: dict[str, Tensor],
    donor_rows: dict[bool, NDArray[np.int64]],
) -> Iterator[pl.DataFrame]:
    """Yield the rows of every run over a few statements, whose z is held in memory together."""
    patcher = setting.patcher(keep=True)
    readouts = patcher(patches, "set and the rest")
    yield _rows(setting, schema.SOURCE, readouts.source)
    yield _rows(setting, schema.BASE, readouts.base)
    set_heads, _, rest_of_window = heads = [patch.heads_of(mask) for mask in patches]
    run_names = (schema.PATCHED, schema.REST_OF_LAYERS, schema.REST_OF_WINDOW)
    for name, patched_heads, p in zip(run_names, heads, readouts.patched, strict=True):
        if patched_heads:  # a control without a head is the unpatched run, and controls nothing
            yield _rows(setting, name, p, patched_heads)
    reverse_answers = setting.reverse()(patches[[0, 2]], "the reverse").patched
    yield _rows(setting, schema.REVERSE, reverse_answers[0], set_heads)
    if rest_of_window:
        yield _rows(setting, schema.REVERSE_REST, reverse_answers[1], rest_of_window)
    base_z, source_z = patcher.z("z of both runs")
    for name, mean in means.items():
        p = patcher(patches[:1], name, z=mean.expand_as(source_z)).patched[0]
        yield _rows(setting, name, p, set_heads)
    for name, z, same_label in (
        (schema.SAME_LABEL, source_z, True),
        (schema.OTHER_LABEL, source_z, False),
        (schema.BASE_OTHER_LABEL, base_z, False),
    ):
        donor = donor_rows[same_label]
        donor_z = z[:, np.where(donor >= 0, donor, 0)]  # a statement without a donor gets no row
        p = patcher(patches[:1], name, z=donor_z).patched[0]
        yield _rows(setting, name, p, set_heads, donor)


def _patches(setting: Experiment, set_heads: list[Head], best_window: Window | None) -> np.ndarray:
    """Stack three patches: the set, the other heads of its layers, the window's other heads."""
    own = patch.of_heads([set_heads], *setting.shape)[0]
    layer_mask = np.broadcast_to(own.any(axis=1, keepdims=True), own.shape)
    window_mask = patch.of_heads(
        [layer_window.heads(best_window, setting.shape[1])], *setting.shape
    )[0]
    return np.stack([own, layer_mask & ~own, window_mask & ~own])


def _rows(
    setting: Experiment,
    name: str,
    probabilities: np.ndarray,
    heads: list[Head] | None = None,
    donor: NDArray[np.int64] | None = None,
) -> pl.DataFrame:
    """Make one run's rows; `donor` is the row of the statement that gives z, -1 for none."""
    source, base = roles.personas(schema.RUNS[name], setting.config).values()
    ids = setting.pairs.table["statement_id"]
    donor_ids = "" if donor is None else ids.gather(np.maximum(donor, 0))
    columns = {"run": name, "donor": donor_ids}
    table = patched_runs.rows(
        setting.pairs, probabilities, source, base, name, heads or [], schema.SCHEMA, **columns
    )
    return table if donor is None else table.filter(pl.Series(donor >= 0, dtype=pl.Boolean))
