"""What erasing does to answers: rows of a table, points of a plot, and a summary."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.erasure.erasure_runs import CONTROLS, LEACE, ORACLE, Run, Runs
from stages.lib import stats
from stages.lib.io import tables
from stages.lib.patching import patch, patched_runs
from stages.lib.patching.cases import Cases
from stages.lib.stats import run_points

NONE = "none"
MOST = 2 * -float(np.log(patch.LEAST))  # nats
SCHEMA = tables.PATCHED | {
    "eraser": pl.String,
    "draw": pl.Int32,
    "first_layer": pl.Int32,
    "last_layer": pl.Int32,
}


def rows(runs: Runs) -> pl.DataFrame:
    """One row a statement and run; the unpatched runs have no layers."""
    made = []
    for persona, unpatched in runs.unpatched.items():
        plain = patched_runs.rows(runs.cases, unpatched, persona, persona)
        made.append(plain.with_columns(eraser=pl.lit(NONE), draw=pl.lit(0)))
        for run in runs.erased[persona]:
            for layers, p in zip(runs.windows, run.probabilities, strict=True):
                name = f"{run.eraser}_{run.draw} {layers.start}-{layers[-1]}"
                table = patched_runs.rows(runs.cases, p, persona, persona, name)
                made.append(
                    table.with_columns(
                        eraser=pl.lit(run.eraser),
                        draw=pl.lit(run.draw),
                        first_layer=pl.lit(layers.start),
                        last_layer=pl.lit(layers[-1]),
                    )
                )
    return pl.concat(made, how="diagonal").drop("heads")


def points(runs: Runs) -> list[dict[str, Any]]:
    """Accuracy, truth, mass and log-odds of every run, one row a window, persona and eraser.

    Returns
    -------
    list of dict
        Of plots/erasure/windows.json; the unpatched run (eraser ``none``) is there for each window.
    """
    made = []
    for persona, unpatched in runs.unpatched.items():
        plain = Run(NONE, 0, np.repeat(unpatched[None], len(runs.windows), axis=0), None)
        for run in (plain, *runs.erased[persona]):
            for layers, p in zip(runs.windows, run.probabilities, strict=True):
                where = {"size": len(layers), "first_layer": layers.start, "last_layer": layers[-1]}
                names = {"persona": persona, "eraser": run.eraser, "draw": run.draw}
                means = {name: _mean(values) for name, values in _strength(p).items()}
                made.append({**names, **where, **run_points.point(runs.cases, p), **means})
    return made


def summarise(runs: Runs) -> dict[str, Any]:
    """Give every window's runs and paired differences with intervals, by persona.

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
    for persona, unpatched in runs.unpatched.items():
        by_window = {
            f"{layers.start}-{layers[-1]}": _window(runs, persona, i)
            for i, layers in enumerate(runs.windows)
        }
        personas[persona] = {
            NONE: _numbers(runs.cases, unpatched[None]),
            "removed": {
                name: _mean([run.removed for run in made if run.removed is not None])
                for name, made in _by_eraser(runs, persona).items()
            },
            "windows": by_window,
            "counts": _counts(list(by_window.values())),
        }
    return personas


def _window(runs: Runs, persona: str, window: int) -> dict[str, Any]:
    """Every eraser in one window, and what LEACE does that others do not."""
    made = {
        name: np.stack([run.probabilities[window] for run in of_name])
        for name, of_name in _by_eraser(runs, persona).items()
    }
    others = {NONE: runs.unpatched[persona][None], **{name: made[name] for name in CONTROLS}}
    return {
        **{name: _numbers(runs.cases, p) for name, p in made.items()},
        **{f"{LEACE} - {name}": _gap(runs.cases, made[LEACE], p) for name, p in others.items()},
    }


def _by_eraser(runs: Runs, persona: str) -> dict[str, list[Run]]:
    """Draws of each eraser."""
    return {
        name: [run for run in runs.erased[persona] if run.eraser == name]
        for name in (LEACE, ORACLE, *CONTROLS)
    }


def _numbers(cases: Cases, p: NDArray[np.float32]) -> dict[str, Any]:
    """Intervals over draws and statements, p of shape (n_draws, n_statements, 2)."""
    subject = np.tile(cases.subject, len(p))
    strength = {name: values.ravel() for name, values in _strength(p).items()}
    truth = patch.truth(p, cases.label).ravel()
    return {
        "accuracy": stats.rate(patch.correct(p, cases.label).ravel(), subject).row(),
        "truth": stats.mean(truth, subject).row(),
        "truth_mass": stats.mean(strength["truth_mass"], subject).row(),
        "log_odds": stats.mean(strength["log_odds"], subject, (0, MOST)).row(),
    }


def _gap(cases: Cases, a: NDArray[np.float32], b: NDArray[np.float32]) -> dict[str, Any]:
    """Paired differences over statements of means over draws."""
    return {
        name: stats.difference(
            measure(a, cases.label).mean(0), measure(b, cases.label).mean(0), cases.subject
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
