"""Truth probes on z before and after erasure."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from stages.erasure import erase
from stages.erasure.schema import PROBED, PROBES, Z
from stages.lib import shards
from stages.lib.io import row_order
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.probing import probe, workers
from stages.lib.probing.config import ProbesConfig
from stages.lib.probing.probe import Design

Correctness = dict[tuple[str, str], NDArray[np.bool_]]


def check(folders: dict[str, Path], pairs: PromptPairs, settings: ProbesConfig) -> pl.DataFrame:
    """Fit probes on z of all heads of a layer at the last token, unerased and erased.

    Erasers are fitted on the selection split, like those of the patched runs. There are four
    probes. ``fitted`` is fitted and scored on the selection split; on erased z its accuracy can be
    at most the rate of the more frequent label. ``report`` is the same probe, scored on the report
    split. ``before`` is fitted on unerased z of the selection split and scored on erased z of the
    report split. ``fresh`` is fitted on the report split and scored on its held-out subjects.

    Parameters
    ----------
    folders : dict of str to Path
        Activations of each persona.
    pairs : PromptPairs
        Known statements of both splits.
    settings : ProbesConfig
        Settings of the probes.

    Returns
    -------
    DataFrame
        One row per persona, probe, z, layer and statement, with the columns of
        `schema.PROBED`: whether the probe is right. Empty where a split lacks a label or
        has too few subjects.

    References
    ----------
    The code of arXiv:2311.15131 checks ``fitted`` alone.
    """
    in_selection, label, subject = _split(pairs, "selection"), pairs.label, pairs.subject
    all_rows = np.ones(len(label), bool)
    selection_design = probe.design(label, subject, in_selection, all_rows)
    report = np.flatnonzero(~in_selection)
    report_design = probe.design(label[report], subject[report], all_rows[report], all_rows[report])
    if not (selection_design.fittable and len(selection_design.report) and report_design.folds):
        return pl.DataFrame(schema=PROBED)
    ids = pairs.table["statement_id"]
    scored = {
        name: ids.filter(in_selection if name == "fitted" else ~in_selection) for name in PROBES
    }
    results = []
    for persona, folder in folders.items():
        jobs = (
            joblib.delayed(_layer)(
                place, replace(selection_design, folds=()), report_design, settings
            )
            for place in _places(folder, pairs, settings.seed)
        )
        layers = tqdm(workers.run_jobs(jobs), desc=f"probes on erased z: {persona}", disable=None)
        for layer, counts in enumerate(layers):
            for (name, z), is_correct in counts.items():
                columns = {"persona": persona, "probe": name, "z": z, "layer": layer}
                rows = pl.DataFrame({"statement_id": scored[name], "correct": is_correct})
                results.append(rows.with_columns(pl.lit(v).alias(k) for k, v in columns.items()))
    return pl.concat(results).select(pl.col(name).cast(kind) for name, kind in PROBED.items())


def _split(pairs: PromptPairs, split: str) -> NDArray[np.bool_]:
    """Statements of one split."""
    return (pairs.table["split"] == split).to_numpy()


def _places(folder: Path, pairs: PromptPairs, seed: int) -> Iterator[NDArray[np.float64]]:
    """Each layer's z of each kind in `Z`: (3, n_statements, n_heads * d_head)."""
    reader = shards.Reader(folder)
    row_numbers = row_order.rows(
        folder, reader.statement_ids, pairs.table["statement_id"].to_list()
    )
    in_selection = _split(pairs, "selection")
    label = pairs.label[in_selection]
    for layer in range(reader.n_layers):
        z = torch.from_numpy(reader.layer("z", layer)[row_numbers])[:, None]  # one position
        x = erase.rows(z)
        fitted = x[..., torch.from_numpy(in_selection), :]
        permuted = np.random.default_rng([seed, layer]).permutation(label)
        results = [x, erase.leace(fitted, label)(x), erase.leace(fitted, permuted)(x)]
        yield np.stack([erase.from_rows(variant).flatten(1).numpy() for variant in results])


def _layer(
    place: NDArray[Any], selection_design: Design, report_design: Design, settings: ProbesConfig
) -> Correctness:
    """Whether each probe is right at one layer: (n_statements,), by probe and z."""
    fitted = probe.fit_place(place, selection_design, settings, 0)
    fresh = probe.fit_place(place[:, selection_design.report], report_design, settings, 0)
    y, results = selection_design.labels[selection_design.selection], {}
    for i, z in enumerate(Z):
        score = place[i, selection_design.selection] @ fitted.directions[i] + fitted.intercepts[i]
        results["fitted", z] = (score > 0) == y
        results["report", z] = fitted.correct[i, i]
        if i:  # on unerased z, ``before`` is ``report``
            results["before", z] = fitted.correct[0, i]
        results["fresh", z] = fresh.held_out[i, i]
    return results
