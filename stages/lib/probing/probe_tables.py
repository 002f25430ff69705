"""What the probes stage reports: plot tables and metrics from fitted probes."""

from itertools import combinations, pairwise, product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stages.lib import stats
from stages.lib.probing.probe import Design, Probes, cosines
from stages.lib.stats import Interval

HALF = 0.5  # a cosine below it: the two directions share less than they do not

Found = dict[str, Probes]  # by site
Rows = list[dict[str, Any]]


def layers(found: Found, personas: tuple[str, ...], design: Design) -> Rows:
    """Accuracy on the report part by layer, with true and with permuted labels.

    A row of `z` is the mean over the heads of a layer. Its interval is over statements: that of
    the mean share of the layer's heads which are right on a statement.

    Parameters
    ----------
    found : dict of str to Probes
        site (``z``, ``resid_post``) -> probes with leading axes (n_layers, places a layer).
    personas : tuple of str
    design : Design

    Returns
    -------
    list of dict
        Columns site, labels, fit, scored, layer, accuracy, low, high, n.
    """
    rows: Rows = []
    for site, probes in found.items():
        for labels, right in (("true", probes.correct), ("permuted", probes.permuted)):
            for (i, fit), (j, scored) in product(enumerate(personas), repeat=2):
                for layer, heads in enumerate(right[:, :, i, j]):
                    interval = _interval(heads.mean(axis=0, dtype=np.float64), design)
                    names = {"site": site, "labels": labels, "fit": fit, "scored": scored}
                    rows.append(names | {"layer": layer} | interval.row("accuracy"))
    return rows


def heads(found: Found, personas: tuple[str, ...], design: Design) -> Rows:
    """Accuracy of every head of `z` on the report part.

    Returns
    -------
    list of dict
        Columns fit, scored, layer, head, accuracy, low, high, n; accuracy is None where n is 0.
    """
    correct = found["z"].correct
    n_layers, n_heads, *_ = correct.shape
    rows: Rows = []
    for (i, fit), (j, scored) in product(enumerate(personas), repeat=2):
        for layer, head in product(range(n_layers), range(n_heads)):
            names = {"fit": fit, "scored": scored, "layer": layer, "head": head}
            rows.append(names | _interval(correct[layer, head, i, j], design).row("accuracy"))
    return rows


def cosine(found: Found, personas: tuple[str, ...]) -> Rows:
    """Cosine of two personas' directions by layer; for `z` the mean over a layer's heads.

    Returns
    -------
    list of dict
        Columns site, first, second, layer, cosine; cosine is None where a direction is missing.
    """
    rows: Rows = []
    for site, probes in found.items():
        between = cosines(probes.directions)  # (n_layers, places, n_personas, n_personas)
        for (i, first), (j, second) in combinations(enumerate(personas), 2):
            for layer, values in enumerate(between[:, :, i, j]):
                given = values[~np.isnan(values)]
                value = float(given.mean()) if len(given) else None
                names = {"site": site, "first": first, "second": second}
                rows.append(names | {"layer": layer, "cosine": value})
    return rows


def falls(cosine_rows: Rows, layer_rows: Rows, design: Design) -> dict[str, Any]:
    """Where two personas' directions part: first layer below 0.5 that follows one at or above it.

    Only layers count where both personas' own probes read the truth, that is where the interval
    of their accuracy lies above the share of the commoner label: elsewhere the cosine is between
    two directions of noise.

    Parameters
    ----------
    cosine_rows, layer_rows : list of dict
        From `cosine` and `layers`.
    design : Design

    Returns
    -------
    dict
        site -> first -> second -> ``{"falls_below_half": layer, "layers": how many counted}``;
        None where it never falls so. A cosine that starts low has not fallen.
    """
    true = float(design.labels[design.report].mean()) if len(design.report) else 0.5
    reads = {
        (row["site"], row["fit"], row["layer"])
        for row in layer_rows
        if row["labels"] == "true" and row["fit"] == row["scored"]
        if row["n"] and row["low"] > max(true, 1 - true)
    }
    curves: dict[tuple[str, str, str], list[tuple[int, float]]] = {}
    for row in cosine_rows:
        site, first, second, layer = row["site"], row["first"], row["second"], row["layer"]
        curve = curves.setdefault((site, first, second), [])
        if row["cosine"] is not None and {(site, first, layer), (site, second, layer)} <= reads:
            curve.append((layer, row["cosine"]))
    result: dict[str, Any] = {}
    for (site, first, second), curve in curves.items():
        steps = ((layer, a, b) for (_, a), (layer, b) in pairwise(curve))
        fall = next((layer for layer, a, b in steps if a >= HALF > b), None)
        entry = {"falls_below_half": fall, "layers": len(curve)}
        result.setdefault(site, {}).setdefault(first, {})[second] = entry
    return result


def best(found: Found, personas: tuple[str, ...], design: Design) -> dict[str, Any]:
    """For each persona the best place of its own probes, and how they score there on all personas.

    Parameters
    ----------
    found : dict of str to Probes
        As in `layers`. A place of ``z`` is a head, one of ``resid_post`` a layer.
    personas : tuple of str
    design : Design

    Returns
    -------
    dict
        site -> fit -> scored -> layer (and head), `held_out` (cross-validated on the selection
        part; for the persona itself it chose the place, and is too high by that), `accuracy` and
        `permuted` on the report part. The first of equally good places; everything None where
        there were no folds.
    """
    result: dict[str, Any] = {}
    for site, probes in found.items():
        for (i, fit), (j, scored) in product(enumerate(personas), repeat=2):
            entry = _best_of_pair(site, probes, i, j, design)
            result.setdefault(site, {}).setdefault(fit, {})[scored] = entry
    return result


def _best_of_pair(site: str, probes: Probes, i: int, j: int, design: Design) -> dict[str, Any]:
    """One entry of `best`."""
    held_out = probes.held_out[:, :, i]  # (n_layers, places, n_personas, n_selection)
    layer, head, entry = (
        None,
        None,
        dict.fromkeys(("held_out", "accuracy", "permuted"), stats.NOTHING),
    )
    if held_out.shape[-1]:
        own = held_out[:, :, i].mean(axis=-1)  # chosen without looking at the persona scored
        at = np.unravel_index(int(own.argmax()), own.shape)
        layer, head = int(at[0]), int(at[1])
        chosen = design.subjects[design.selection]
        entry["held_out"] = stats.rate(held_out[layer, head, j], chosen)
        entry["accuracy"] = _interval(probes.correct[layer, head, i, j], design)
        entry["permuted"] = _interval(probes.permuted[layer, head, i, j], design)
    place = {"layer": layer, "head": head} if site == "z" else {"layer": layer}
    return place | {name: interval.row() for name, interval in entry.items()}


def counts(design: Design) -> dict[str, Any]:
    """Which statements the probes saw (known or all), and how many by part and label."""
    n = {}
    for part, rows in (("selection", design.selection), ("report", design.report)):
        true = int(design.labels[rows].sum())
        subjects = len(np.unique(design.subjects[rows]))
        n[part] = {"true": true, "false": len(rows) - true, "subjects": subjects}
    return {"statements": design.statements, "n": n, "folds": len(design.folds)}


def tensors(found: Found) -> dict[str, NDArray[np.float32]]:
    """Directions and intercepts, by site, with personas as the first axis.

    Returns
    -------
    dict of str to ndarray, float32
        `z` (n_personas, n_layers, n_heads, d_head), `resid_post` (n_personas, n_layers + 1,
        d_model), and `z_intercept` and `resid_post_intercept` without the last axis: a probe says
        "true" where ``activation @ direction + intercept > 0``.
    """
    result: dict[str, NDArray[np.float32]] = {}
    for site, probes in found.items():
        arrays = {site: probes.directions, f"{site}_intercept": probes.intercepts}
        for name, array in arrays.items():
            array = np.moveaxis(array, 2, 0)  # (n_personas, n_layers, places, [d])
            result[name] = np.ascontiguousarray(array if site == "z" else array[:, :, 0])
    return result


def _interval(right: ArrayLike, design: Design) -> Interval:
    """Interval of the share of right answers; `right` is 0, 1 or, over several probes, between."""
    share = np.asarray(right, dtype=np.float64)  # (n_report,)
    if np.isnan(share).any():
        return stats.NOTHING
    subjects = design.subjects[design.report][: len(share)]
    whole = bool(np.isin(share, (0.0, 1.0)).all())
    return stats.rate(share, subjects) if whole else stats.mean(share, subjects)
