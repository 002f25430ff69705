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
from stages.erasure.erasure_tables import PROBED, PROBES, Z
from stages.lib import shards
from stages.lib.io import row_order
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.probing import probe, workers
from stages.lib.probing.config import ProbesConfig
from stages.lib.probing.probe import Design

Right = dict[tuple[str, str], NDArray[np.bool_]]


def check(folders: dict[str, Path], pairs: PromptPairs, settings: ProbesConfig) -> pl.DataFrame:
    """Fit probes on z of all heads of a layer at the last token, whole and erased.

    Erasers are fitted on the selection split, as those whose z is patched in. Four probes:
    ``fitted``, fitted and scored on the selection split: at most the rate of the more frequent
    label may be left there; ``report``, the same probe on the report split;
    ``before``, the probe of whole z scored on the report split; ``fresh``, fitted on the report
    split and scored on held-out subjects of it.

    Parameters
    ----------
    folders : dict of str to Path
        Activations of each persona.
    pairs : PromptPairs
        Known statements of both splits.
    settings : ProbesConfig
        How to fit.

    Returns
    -------
    DataFrame
        One row per persona, probe, z, layer and statement, with the columns of
        `erasure_tables.PROBED`: whether the probe is right. Empty where a split has not both labels
        or too few subjects.

    References
    ----------
    The code of arXiv:2311.15131 checks ``fitted`` alone.
    """
    selected, label, subject = _split(pairs, "selection"), pairs.label, pairs.subject
    every = np.ones(len(label), bool)
    own = probe.design(label, subject, selected, every)
    report = np.flatnonzero(~selected)
    other = probe.design(label[report], subject[report], every[report], every[report])
    if not (own.fittable and len(own.report) and other.folds):
        return pl.DataFrame(schema=PROBED)
    ids = pairs.table["statement_id"]
    scored = {name: ids.filter(selected if name == "fitted" else ~selected) for name in PROBES}
    made = []
    for persona, folder in folders.items():
        jobs = (
            joblib.delayed(_layer)(place, replace(own, folds=()), other, settings)
            for place in _places(folder, pairs, settings.seed)
        )
        layers = tqdm(workers.each(jobs), desc=f"probes on erased z: {persona}", disable=None)
        for layer, counts in enumerate(layers):
            for (name, z), right in counts.items():
                columns = {"persona": persona, "probe": name, "z": z, "layer": layer}
                rows = pl.DataFrame({"statement_id": scored[name], "correct": right})
                made.append(rows.with_columns(pl.lit(v).alias(k) for k, v in columns.items()))
    return pl.concat(made).select(pl.col(name).cast(kind) for name, kind in PROBED.items())


def _split(pairs: PromptPairs, split: str) -> NDArray[np.bool_]:
    """Statements of one split."""
    return (pairs.table["split"] == split).to_numpy()


def _places(folder: Path, pairs: PromptPairs, seed: int) -> Iterator[NDArray[np.float64]]:
    """Each layer's z, whole and erased in each way: (3, n_statements, n_heads * d_head)."""
    reader = shards.Reader(folder)
    kept = row_order.rows(folder, reader.statement_ids, pairs.table["statement_id"].to_list())
    selected = _split(pairs, "selection")
    label = pairs.label[selected]
    for layer in range(reader.n_layers):
        z = torch.from_numpy(reader.layer("z", layer)[kept])[:, None]  # a position
        x = erase.rows(z)
        fitted = x[..., torch.from_numpy(selected), :]
        permuted = np.random.default_rng([seed, layer]).permutation(label)
        made = [x, erase.leace(fitted, label)(x), erase.leace(fitted, permuted)(x)]
        yield np.stack([erase.back(one).flatten(1).numpy() for one in made])


def _layer(place: NDArray[Any], own: Design, other: Design, settings: ProbesConfig) -> Right:
    """Whether each probe is right at one layer: (n_statements,), by probe and z."""
    fitted = probe.fit_place(place, own, settings, 0)
    fresh = probe.fit_place(place[:, own.report], other, settings, 0)
    y, made = own.labels[own.selection], {}
    for i, z in enumerate(Z):
        score = place[i, own.selection] @ fitted.directions[i] + fitted.intercepts[i]
        made["fitted", z] = (score > 0) == y
        made["report", z] = fitted.correct[i, i]
        if i:  # of whole z it is ``report``
            made["before", z] = fitted.correct[0, i]
        made["fresh", z] = fresh.held_out[i, i]
    return made
