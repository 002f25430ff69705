"""Plot tables and metrics of fitted probes."""

from itertools import combinations, product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stages.lib import stats
from stages.lib.io.tables import Row
from stages.lib.probing.crossings import first_below
from stages.lib.probing.probe import Design, Probes, cosines
from stages.lib.stats import Interval, plot_rows, shares
from stages.probes.metrics import BestHead, BestLayer, Fall

HALF = 0.5  # two directions with a cosine below this have diverged

BySite = dict[str, Probes]  # by site


def layers(by_site: BySite, personas: tuple[str, ...], design: Design) -> list[Row]:
    """Measure accuracy on the report split by layer, with true and with permuted labels.

    A row of `z` is the mean over the heads of a layer. Its interval is that of a mean over
    statements, of the fraction of the layer's probes that are right on each statement.

    Parameters
    ----------
    by_site : dict of str to Probes
        site (``z``, ``resid_post``) -> probes with leading axes (n_layers, places per layer).
    personas : tuple of str
    design : Design

    Returns
    -------
    list of dict
        Columns site, labels, fit, scored, layer, accuracy, low, high, n.
    """
    rows: list[Row] = []
    for site, probes in by_site.items():
        for labels, right in (("true", probes.correct), ("permuted", probes.permuted)):
            for (i, fit), (j, scored) in product(enumerate(personas), repeat=2):
                for layer, heads in enumerate(right[:, :, i, j]):
                    interval = _interval(heads.mean(axis=0, dtype=np.float64), design)
                    names = {"site": site, "labels": labels, "fit": fit, "scored": scored}
                    rows.append(names | {"layer": layer} | interval.row("accuracy"))
    return rows


def by_layer(layer_rows: list[Row]) -> dict[str, dict[str, dict[str, Interval]]]:
    """Nest the accuracy of the probes of the residual stream by fit, scored and index.

    Parameters
    ----------
    layer_rows : list of dict
        From `layers`.
    """
    result: dict[str, dict[str, dict[str, Interval]]] = {}
    for row in layer_rows:
        if row["site"] == "resid_post" and row["labels"] == "true":
            by_scored = result.setdefault(str(row["fit"]), {})
            by_index = by_scored.setdefault(str(row["scored"]), {})
            by_index[str(row["layer"])] = plot_rows.interval(row, "accuracy")
    return result


def heads(by_site: BySite, personas: tuple[str, ...], design: Design) -> list[Row]:
    """Measure the accuracy of the probes of every head of `z` on the report split.

    Returns
    -------
    list of dict
        Columns fit, scored, layer, head, accuracy, low, high, n; accuracy is None where n is 0.
    """
    correct = by_site["z"].correct
    n_layers, n_heads, *_ = correct.shape
    rows: list[Row] = []
    for (i, fit), (j, scored) in product(enumerate(personas), repeat=2):
        for layer, head in product(range(n_layers), range(n_heads)):
            names = {"fit": fit, "scored": scored, "layer": layer, "head": head}
            rows.append(names | _interval(correct[layer, head, i, j], design).row("accuracy"))
    return rows


def cosine(by_site: BySite, personas: tuple[str, ...]) -> list[Row]:
    """Measure the cosine of two personas' directions by layer; for `z`, the mean over heads.

    Returns
    -------
    list of dict
        Columns site, first, second, layer, cosine; cosine is None where a direction is missing.
    """
    rows: list[Row] = []
    for site, probes in by_site.items():
        pair_cosines = cosines(probes.directions)  # (n_layers, places, n_personas, n_personas)
        for (i, first), (j, second) in combinations(enumerate(personas), 2):
            for layer, values in enumerate(pair_cosines[:, :, i, j]):
                valid_cosines = values[~np.isnan(values)]
                value = float(valid_cosines.mean()) if len(valid_cosines) else None
                names = {"site": site, "first": first, "second": second}
                rows.append(names | {"layer": layer, "cosine": value})
    return rows


def falls(
    cosine_rows: list[Row], layer_rows: list[Row], design: Design
) -> dict[str, dict[str, dict[str, Fall]]]:
    """Find the layer where two personas' directions diverge.

    This is the first layer whose cosine is below 0.5, after a layer at or above 0.5. A layer counts
    only if both personas' own probes read the truth there: the interval of their accuracy lies
    above the rate of the more frequent label. At other layers the directions are noise.

    Parameters
    ----------
    cosine_rows, layer_rows : list of dict
        From `cosine` and `layers`.
    design : Design

    Returns
    -------
    dict
        site -> first -> second -> Fall. A cosine that starts below 0.5 has not fallen.
    """
    true_rate = float(design.labels[design.report].mean()) if len(design.report) else 0.5
    readable_layers = {
        (row["site"], row["fit"], row["layer"])
        for row in layer_rows
        if row["labels"] == "true" and row["fit"] == row["scored"]
        if (low := plot_rows.number(row, "low")) is not None
        if low > max(true_rate, 1 - true_rate)
    }
    curves: dict[tuple[str, str, str], list[float]] = {}
    for row in cosine_rows:
        site, first, second = (str(row[name]) for name in ("site", "first", "second"))
        layer = row["layer"]
        is_readable = {(site, first, layer), (site, second, layer)} <= readable_layers
        value = plot_rows.number(row, "cosine") if is_readable else None
        curves.setdefault((site, first, second), []).append(np.nan if value is None else value)
    result: dict[str, dict[str, dict[str, Fall]]] = {}
    for (site, first, second), curve in curves.items():
        cosines = np.array(curve)
        readable = ~np.isnan(cosines)
        (layer,) = first_below(cosines[:, None], readable, HALF)
        fall = Fall(int(layer) if np.isfinite(layer) else None, int(readable.sum()))
        result.setdefault(site, {}).setdefault(first, {})[second] = fall
    return result


def best(
    by_site: BySite, personas: tuple[str, ...], design: Design
) -> dict[str, dict[str, dict[str, BestHead | BestLayer]]]:
    """Choose each persona's best place, and measure its probes there on all personas.

    Parameters
    ----------
    by_site : dict of str to Probes
        As in `layers`. A place of ``z`` is a head, one of ``resid_post`` a layer.
    personas : tuple of str
    design : Design

    Returns
    -------
    dict
        site -> fit -> scored -> best place; the first of equally good ones.
    """
    return {
        site: {
            fit: {
                scored: _best_of_pair(site, probes, i, j, design)
                for j, scored in enumerate(personas)
            }
            for i, fit in enumerate(personas)
        }
        for site, probes in by_site.items()
    }


def _best_of_pair(
    site: str, probes: Probes, i: int, j: int, design: Design
) -> BestHead | BestLayer:
    """Measure probes fitted on persona `i` at its best place, scored on persona `j`."""
    layer, head, rates = None, None, (stats.NOTHING, stats.NOTHING, stats.NOTHING)
    held_out = probes.held_out[:, :, i]  # (n_layers, places, n_personas, n_selection)
    if held_out.shape[-1]:
        # the place is chosen by the fitted persona alone, whichever persona is scored
        own_accuracy = held_out[:, :, i].mean(axis=-1)
        layer, head = map(int, np.unravel_index(int(own_accuracy.argmax()), own_accuracy.shape))
        rates = (
            stats.rate(held_out[layer, head, j], design.subjects[design.selection]),
            _interval(probes.correct[layer, head, i, j], design),
            _interval(probes.permuted[layer, head, i, j], design),
        )
    return BestHead(layer, *rates, head) if site == "z" else BestLayer(layer, *rates)


def tensors(by_site: BySite) -> dict[str, NDArray[np.float32]]:
    """Collect directions and intercepts by site, with personas as the first axis.

    Returns
    -------
    dict of str to ndarray, float32
        `z` (n_personas, n_layers, n_heads, d_head), `resid_post` (n_personas, n_layers + 1,
        d_model), and `z_intercept` and `resid_post_intercept` without the last axis: a probe says
        "true" where ``activation @ direction + intercept > 0``.
    """
    result: dict[str, NDArray[np.float32]] = {}
    for site, probes in by_site.items():
        arrays = {site: probes.directions, f"{site}_intercept": probes.intercepts}
        for name, array in arrays.items():
            array = np.moveaxis(array, 2, 0)  # (n_personas, n_layers, places, [d])
            result[name] = np.ascontiguousarray(array if site == "z" else array[:, :, 0])
    return result


def _interval(right: ArrayLike, design: Design) -> Interval:
    """Measure accuracy on the report split, with its interval."""
    return shares.right(right, design.subjects[design.report])
