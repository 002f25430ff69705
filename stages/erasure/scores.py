"""Scores of `erasure`: what erasing does to answers, and what probes still read in erased z.

Params  erasure, patch
"""

from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.erasure.config import ErasureConfig
from stages.erasure.erasure_tables import CONTROLS, LEACE, NONE, ORACLE, PROBED, PROBES, RUNS, Z
from stages.lib import stats
from stages.lib.io import cli, params, tables
from stages.lib.patching import cases, patch, patched_runs
from stages.lib.patching.cases import PARTS, Cases
from stages.lib.patching.config import PatchConfig
from stages.lib.stats import run_points

ERASERS = (LEACE, ORACLE, *CONTROLS)
MOST = 2 * -float(np.log(patch.LEAST))  # nats


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    probes: Annotated[Path, "what probes read in each run's z (Parquet)"],
    metrics: cli.Metrics,
    plots: Annotated[
        Path,
        "writes windows.json (one row per persona, eraser, draw and window) and probes.json "
        "(one row per persona, probe, kind of z and layer) into this folder",
    ],
) -> None:
    """Score every run and every probe."""
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, RUNS, pairs)
    probed, every = tables.read(probes, PROBED), cases.read(pairs, PARTS, None, by="part")
    tables.write_rows(plots / "windows.json", points(about, table, config))
    tables.write_rows(plots / "probes.json", probe_points(every, probed, config))
    summary = {
        "source": config.source,
        "base": config.base,
        "positions": params.section("erasure", ErasureConfig).positions,
        "fitted_on": cases.count(every.table.filter(pl.col("part") == "selection")),
        "scored_on": cases.count(about.table),
        "personas": summarise(about, table, config),
        "probes": summarise_probes(every, probed, config),
    }
    tables.write_json(metrics, summary)


def points(about: Cases, runs: pl.DataFrame, config: PatchConfig) -> list[dict[str, Any]]:
    """Accuracy, truth, mass and log-odds of every run, by persona, eraser and window.

    Parameters
    ----------
    about : Cases
        The statements.
    runs : DataFrame
        Runs with the columns of `erasure_tables.RUNS`.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of dict
        Of plots/erasure/windows.json; the unpatched run (eraser ``none``) is there for each window.
    """
    made, windows = [], _windows(runs)
    for persona in (config.source, config.base):
        unpatched, erased = _answers(about, runs, persona)
        plain = np.repeat(unpatched[None, None], len(windows), axis=1)
        for eraser, draws in ({NONE: plain} | erased).items():
            for (draw, of_draw), (i, layers) in product(enumerate(draws), enumerate(windows)):
                where = {"size": len(layers), "first_layer": layers.start, "last_layer": layers[-1]}
                names = {"persona": persona, "eraser": eraser, "draw": draw}
                means = {name: _mean(values) for name, values in _strength(of_draw[i]).items()}
                made.append({**names, **where, **run_points.point(about, of_draw[i]), **means})
    return made


def summarise(about: Cases, runs: pl.DataFrame, config: PatchConfig) -> dict[str, Any]:
    """Give every window's runs and paired differences with intervals, by persona.

    Parameters
    ----------
    about, runs, config
        As of `points`.

    Returns
    -------
    dict
        Of each persona: ``none``, the unpatched run; ``removed``, the share of z's variance that
        each eraser removes; ``windows``: of each eraser accuracy, truth, mass and log-odds, and
        LEACE minus others, paired. Controls are over all draws, so that their n counts draws times
        statements. ``counts``: windows that LEACE brings to chance, and that it moves unlike
        others, whose interval of the difference in truth does not hold 0.
    """
    personas = {}
    for persona in (config.source, config.base):
        unpatched, erased = _answers(about, runs, persona)
        by_window = {
            f"{layers.start}-{layers[-1]}": _window(
                about, unpatched, {name: draws[:, i] for name, draws in erased.items()}
            )
            for i, layers in enumerate(_windows(runs))
        }
        personas[persona] = {
            NONE: _numbers(about, unpatched[None]),
            "removed": _removed(runs.filter(base=persona)),
            "windows": by_window,
            "counts": _counts(list(by_window.values())),
        }
    return personas


def probe_points(every: Cases, probed: pl.DataFrame, config: PatchConfig) -> list[dict[str, Any]]:
    """Accuracy of each probe at each layer.

    Parameters
    ----------
    every : Cases
        Known statements of both parts.
    probed : DataFrame
        Whether each probe is right, with the columns of `erasure_tables.PROBED`.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of dict
        One row per persona, probe, kind of z and layer, of plots/erasure/probes.json.
    """
    return [
        {"persona": persona, "probe": probe, "z": z, "layer": layer}
        | stats.rate(right, subject).row("accuracy")
        for (persona, probe, z), (layers, subject) in _right(every, probed, config).items()
        for layer, right in enumerate(layers)
    ]


def summarise_probes(every: Cases, probed: pl.DataFrame, config: PatchConfig) -> dict[str, Any]:
    """Mean over layers with its interval, and the least and greatest layer.

    Parameters
    ----------
    every, probed, config
        As of `probe_points`.

    Returns
    -------
    dict
        By persona, probe and kind of z. Empty where nothing was fitted.
    """
    made: dict[str, Any] = {}
    for (persona, probe, z), (layers, subject) in _right(every, probed, config).items():
        of_layers = layers.mean(axis=1)
        numbers = stats.mean(layers.mean(axis=0), subject).row()
        ends = {"least": float(of_layers.min()), "greatest": float(of_layers.max())}
        made.setdefault(persona, {}).setdefault(probe, {})[z] = numbers | ends
    return made


def _windows(runs: pl.DataFrame) -> list[range]:
    """Layers of each window, size by size, from the lowest."""
    ends = runs.select("first_layer", "last_layer").drop_nulls().unique().rows()
    return sorted((range(first, last + 1) for first, last in ends), key=lambda w: (len(w), w.start))


def _answers(
    about: Cases, runs: pl.DataFrame, persona: str
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
    """P(true) and P(false) of the unpatched run, and of each eraser by draw and window."""
    order = ["draw", "size", "first_layer", "statement_id"]
    own = runs.filter(base=persona).with_columns(size=pl.col("last_layer") - pl.col("first_layer"))
    shape = (len(_windows(runs)), len(about.table), 2)
    erased = {}
    for eraser in ERASERS:
        rows = own.filter(eraser=eraser).sort(order)
        p = rows.select("p_true", "p_false").to_numpy()
        erased[eraser] = p.reshape(rows["draw"].n_unique(), *shape)
    return patched_runs.probabilities(own, eraser=NONE), erased


def _removed(runs: pl.DataFrame) -> dict[str, float | None]:
    """Share of z's variance that each eraser removes, mean over draws."""
    by_draw = runs.group_by("eraser", "draw").agg(pl.col("removed").first()).sort("draw")
    return {name: _mean(by_draw.filter(eraser=name)["removed"].to_list()) for name in ERASERS}


def _window(
    about: Cases, unpatched: NDArray[np.float32], erased: dict[str, NDArray[np.float32]]
) -> dict[str, Any]:
    """Every eraser in one window, and what LEACE does that others do not."""
    others = {NONE: unpatched[None], **{name: erased[name] for name in CONTROLS}}
    return {
        **{name: _numbers(about, p) for name, p in erased.items()},
        **{f"{LEACE} - {name}": _gap(about, erased[LEACE], p) for name, p in others.items()},
    }


def _numbers(about: Cases, p: NDArray[np.float32]) -> dict[str, Any]:
    """Intervals over draws and statements, p of shape (n_draws, n_statements, 2)."""
    subject = np.tile(about.subject, len(p))
    strength = {name: values.ravel() for name, values in _strength(p).items()}
    truth = patch.truth(p, about.label).ravel()
    return {
        "accuracy": stats.rate(patch.correct(p, about.label).ravel(), subject).row(),
        "truth": stats.mean(truth, subject).row(),
        "truth_mass": stats.mean(strength["truth_mass"], subject).row(),
        "log_odds": stats.mean(strength["log_odds"], subject, (0, MOST)).row(),
    }


def _gap(about: Cases, a: NDArray[np.float32], b: NDArray[np.float32]) -> dict[str, Any]:
    """Paired differences over statements of means over draws."""
    return {
        name: stats.difference(
            measure(a, about.label).mean(0), measure(b, about.label).mean(0), about.subject
        ).row()
        for name, measure in (("accuracy", patch.correct), ("truth", patch.truth))
    }


def _strength(p: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """How much of the answer is true or false, and how decided it is (in nats), whichever it is."""
    odds = np.log(np.maximum(p.astype(np.float64), patch.LEAST))
    mass = p.astype(np.float64).sum(-1)
    return {"truth_mass": mass, "log_odds": np.abs(odds[..., 0] - odds[..., 1])}


def _counts(windows: list[dict[str, Any]]) -> dict[str, int | None]:
    """Windows that LEACE brings to chance, and those that it moves unlike each control."""
    measured = [window for window in windows if window[LEACE]["accuracy"]["n"]]
    gaps = {f"unlike_{name}": f"{LEACE} - {name}" for name in (NONE, *CONTROLS)}
    if not measured:
        return {"windows": 0, "at_chance": None, **dict.fromkeys(gaps)}
    accuracy = [window[LEACE]["accuracy"] for window in measured]
    return {
        "windows": len(measured),
        "at_chance": sum(row["low"] <= 0.5 <= row["high"] for row in accuracy),
        **{
            name: sum(not w[gap]["truth"]["low"] <= 0 <= w[gap]["truth"]["high"] for w in measured)
            for name, gap in gaps.items()
        },
    }


def _mean(values: Any) -> float | None:
    """Mean; None of nothing."""
    return float(np.mean(values)) if len(values) else None


def _right(
    every: Cases, probed: pl.DataFrame, config: PatchConfig
) -> dict[tuple[str, str, str], tuple[NDArray[np.bool_], NDArray[Any]]]:
    """Whether each probe is right, (n_layers, n_statements), and the statements' subjects.

    By persona, probe and kind of z, of those that there are.
    """
    found = {}
    subject = every.table.select("statement_id", "subject")
    rows = probed.join(subject, on="statement_id").sort("layer", "statement_id")
    for persona, z, probe in product((config.source, config.base), Z, PROBES):
        own = rows.filter(persona=persona, z=z, probe=probe)
        if len(own):
            right = own["correct"].to_numpy().reshape(own["layer"].n_unique(), -1)
            found[persona, probe, z] = right, own["subject"].to_numpy()[: right.shape[1]]
    return found


if __name__ == "__main__":
    cli.run(main)
