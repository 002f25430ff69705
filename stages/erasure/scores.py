"""Scores of `erasure`: the answers after erasure, and what probes still read in erased z.

Params  erasure, patch
"""

from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.erasure.config import ErasureConfig
from stages.erasure.metrics import ErasureCounts, ErasureMetrics, Numbers, PersonaErasure, ProbeRate
from stages.erasure.schema import CONTROLS, LEACE, NONE, ORACLE, PROBED, PROBES, RUNS, Z
from stages.lib import stats
from stages.lib.io import cli, params, records, tables
from stages.lib.io.tables import Row
from stages.lib.patching import patch, patched_runs, prompt_pairs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.prompt_pairs import SPLITS, PromptPairs
from stages.lib.stats import Interval, run_points
from stages.lib.stats.run_points import Difference

ERASERS = (LEACE, ORACLE, *CONTROLS)
MOST = 2 * -float(np.log(patch.MIN_PROBABILITY))  # bound of log-odds, in nats


def main(
    pairs: cli.Pairs,
    runs: Annotated[Path, "folder with runs.parquet and probes.parquet, from stage `erasure`"],
    metrics: cli.Metrics,
    plots: Annotated[
        Path,
        "writes windows.json (one row per persona, eraser, draw and window) and probes.json "
        "(one row per persona, probe, kind of z and layer) into this folder",
    ],
) -> None:
    """Score every run and every probe."""
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs / "runs.parquet", RUNS, pairs)
    probed = tables.read(runs / "probes.parquet", PROBED)
    all_pairs = prompt_pairs.read(pairs, SPLITS, None, by="split")
    tables.write_rows(plots / "windows.json", points(about, table, config))
    tables.write_rows(plots / "probes.json", probe_points(all_pairs, probed, config))
    summary = ErasureMetrics(
        source=config.source,
        base=config.base,
        positions=params.section("erasure", ErasureConfig).positions,
        draws=table.filter(pl.col("eraser").is_in(CONTROLS))["draw"].n_unique(),
        fitted_on=run_points.count(all_pairs.table.filter(split="selection")),
        scored_on=run_points.count(about.table),
        personas=summarise(about, table, config),
        probes=summarise_probes(all_pairs, probed, config),
    )
    records.write(metrics, summary)


def points(about: PromptPairs, runs: pl.DataFrame, config: PatchConfig) -> list[Row]:
    """Score every run by persona, eraser and window.

    Parameters
    ----------
    about : PromptPairs
        The statements.
    runs : DataFrame
        Runs with the columns of `schema.RUNS`.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of dict
        Rows of plots/erasure/windows.json: accuracy, p_correct, answer mass and log-odds. The
        unpatched run (eraser ``none``) is repeated for each window.
    """
    results: list[Row] = []
    windows = _windows(runs)
    for persona in (config.source, config.base):
        unpatched, erased = _answers(about, runs, persona)
        for eraser, layers in product((NONE, *ERASERS), windows):
            where = {"size": len(layers), "first_layer": layers.start, "last_layer": layers[-1]}
            draws = unpatched[None] if eraser == NONE else erased[layers][eraser]
            for draw, answers in enumerate(draws):
                names = {"persona": persona, "eraser": eraser, "draw": draw}
                means = {name: _mean(values) for name, values in _strength(about, answers).items()}
                results.append(
                    {**names, **where, **run_points.measure(about, answers).row(), **means}
                )
    return results


def summarise(
    about: PromptPairs, runs: pl.DataFrame, config: PatchConfig
) -> dict[str, PersonaErasure]:
    """Summarise every window's runs and paired differences with intervals, by persona.

    Parameters
    ----------
    about, runs, config
        As in `points`.
    """
    personas = {}
    for persona in (config.source, config.base):
        unpatched, erased = _answers(about, runs, persona)
        by_window = {f"{layers.start}-{layers[-1]}": answers for layers, answers in erased.items()}
        windows = {
            layers: {name: _numbers(about, p) for name, p in answers.items()}
            for layers, answers in by_window.items()
        }
        gaps = {layers: _gaps(about, unpatched, answers) for layers, answers in by_window.items()}
        personas[persona] = PersonaErasure(
            none=_numbers(about, unpatched[None]),
            removed=_removed(runs.filter(base=persona)),
            windows={layers: {**windows[layers], **_named(gaps[layers])} for layers in windows},
            as_far={
                layers: _as_far(about, unpatched, answers) for layers, answers in by_window.items()
            },
            counts=_counts([numbers[LEACE] for numbers in windows.values()], list(gaps.values())),
        )
    return personas


def probe_points(all_pairs: PromptPairs, probed: pl.DataFrame, config: PatchConfig) -> list[Row]:
    """Return the accuracy of each probe at each layer.

    Parameters
    ----------
    all_pairs : PromptPairs
        Known statements of both splits.
    probed : DataFrame
        Whether each probe is right, with the columns of `schema.PROBED`.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of dict
        One row per persona, probe, kind of z and layer, of plots/erasure/probes.json.
    """
    return [
        {"persona": persona, "probe": probe, "z": z, "layer": layer}
        | stats.rate(is_correct, subject).row("accuracy")
        for (persona, probe, z), (layers, subject) in _correctness(
            all_pairs, probed, config
        ).items()
        for layer, is_correct in enumerate(layers)
    ]


def summarise_probes(
    all_pairs: PromptPairs, probed: pl.DataFrame, config: PatchConfig
) -> dict[str, dict[str, dict[str, ProbeRate]]]:
    """Return each probe's mean accuracy over layers, and its lowest and highest layer.

    Parameters
    ----------
    all_pairs, probed, config
        As in `probe_points`.

    Returns
    -------
    dict
        By persona, probe and kind of z. Empty where no probe was fitted.
    """
    results: dict[str, dict[str, dict[str, ProbeRate]]] = {}
    for (persona, probe, z), (layers, subject) in _correctness(all_pairs, probed, config).items():
        of_layers = layers.mean(axis=1)
        mean = stats.mean(layers.mean(axis=0), subject)
        rate = ProbeRate(
            **vars(mean), least=float(of_layers.min()), greatest=float(of_layers.max())
        )
        results.setdefault(persona, {}).setdefault(probe, {})[z] = rate
    return results


def _windows(runs: pl.DataFrame) -> list[range]:
    """Layers of each window, size by size, from the lowest."""
    ends = runs.select("first_layer", "last_layer").drop_nulls().unique().rows()
    return sorted((range(first, last + 1) for first, last in ends), key=lambda w: (len(w), w.start))


def _answers(
    about: PromptPairs, runs: pl.DataFrame, persona: str
) -> tuple[NDArray[np.float32], dict[range, dict[str, NDArray[np.float32]]]]:
    """P(true) and P(false) of the unpatched run, and by window of each eraser, draw by draw."""
    own = runs.filter(base=persona)
    erased: dict[range, dict[str, NDArray[np.float32]]] = {}
    for layers, eraser in product(_windows(runs), ERASERS):
        rows = own.filter(eraser=eraser, first_layer=layers.start, last_layer=layers[-1])
        p = patched_runs.probabilities_of(rows.sort("draw", "statement_id"))
        erased.setdefault(layers, {})[eraser] = p.reshape(-1, len(about.table), 2)
    return patched_runs.probabilities(own, eraser=NONE), erased


def _removed(runs: pl.DataFrame) -> dict[str, float | None]:
    """Fraction of z's variance that each eraser removes, mean over draws."""
    by_draw = runs.group_by("eraser", "draw").agg(pl.col("removed").first()).sort("draw")
    return {name: _mean(by_draw.filter(eraser=name)["removed"].to_list()) for name in ERASERS}


def _gaps(
    about: PromptPairs, unpatched: NDArray[np.float32], erased: dict[str, NDArray[np.float32]]
) -> dict[str, Difference]:
    """LEACE minus the unpatched run and minus the controls, in one window."""
    references = {NONE: unpatched, **{name: erased[name] for name in CONTROLS}}
    return {name: run_points.difference(about, erased[LEACE], p) for name, p in references.items()}


def _as_far(
    about: PromptPairs, unpatched: NDArray[np.float32], erased: dict[str, NDArray[np.float32]]
) -> dict[str, int]:
    """Count the draws of each control that move P(correct) as far as LEACE, the same way."""
    before = patch.p_correct(unpatched, about.label).mean()
    moved = {
        name: patch.p_correct(p, about.label).mean(axis=1) - before for name, p in erased.items()
    }
    (by_leace,) = moved[LEACE]
    return {
        name: int((moved[name] * np.sign(by_leace) >= abs(by_leace)).sum()) for name in CONTROLS
    }


def _named(gaps: dict[str, Difference]) -> dict[str, Difference]:
    """Differences by their key in the metrics."""
    return {f"{LEACE} - {name}": gap for name, gap in gaps.items()}


def _numbers(about: PromptPairs, p: NDArray[np.float32]) -> Numbers:
    """Intervals over draws and statements, p of shape (n_draws, n_statements, 2)."""
    subject = np.tile(about.subject, len(p))
    strength = {name: values.ravel() for name, values in _strength(about, p).items()}
    return Numbers(
        accuracy=stats.rate(patch.correct(p, about.label).ravel(), subject),
        p_correct=stats.mean(patch.p_correct(p, about.label).ravel(), subject),
        by_label=run_points.by_label(about, p),
        answer_mass=stats.mean(strength["answer_mass"], subject),
        log_odds=stats.mean(strength["log_odds"], subject, (0, MOST)),
    )


def _strength(about: PromptPairs, p: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Answer mass, and absolute log-odds of the answers in nats, of each statement."""
    mass = p.astype(np.float64).sum(-1)
    return {"answer_mass": mass, "log_odds": np.abs(patch.log_odds(p, about.label))}


def _counts(leace: list[Numbers], gaps: list[dict[str, Difference]]) -> ErasureCounts:
    """Count windows that LEACE brings to 0.5, and windows where it differs from each control."""
    accuracies = [numbers.accuracy for numbers in leace if numbers.accuracy.n]
    names = (NONE, *CONTROLS)
    if not accuracies:
        return ErasureCounts(0, None, **dict.fromkeys((f"unlike_{name}" for name in names), None))
    unlike_counts = {
        f"unlike_{name}": sum(not _holds(gap[name].p_correct, 0) for gap in gaps) for name in names
    }
    return ErasureCounts(
        len(accuracies), sum(_holds(rate, 0.5) for rate in accuracies), **unlike_counts
    )


def _holds(interval: Interval, value: float) -> bool:
    """Whether an interval contains a value."""
    return (
        interval.low is not None
        and interval.high is not None
        and (interval.low <= value <= interval.high)
    )


def _mean(values: Any) -> float | None:
    """Mean; None without values."""
    return float(np.mean(values)) if len(values) else None


def _correctness(
    all_pairs: PromptPairs, probed: pl.DataFrame, config: PatchConfig
) -> dict[tuple[str, str, str], tuple[NDArray[np.bool_], NDArray[Any]]]:
    """Whether each probe is right, (n_layers, n_statements), and subjects, by persona, probe, z."""
    by_run = {}
    subject = all_pairs.table.select("statement_id", "subject")
    rows = probed.join(subject, on="statement_id").sort("layer", "statement_id")
    for persona, z, probe in product((config.source, config.base), Z, PROBES):
        selected_rows = rows.filter(persona=persona, z=z, probe=probe)
        if len(selected_rows):
            is_correct = (
                selected_rows["correct"].to_numpy().reshape(selected_rows["layer"].n_unique(), -1)
            )
            by_run[persona, probe, z] = (
                is_correct,
                selected_rows["subject"].to_numpy()[: is_correct.shape[1]],
            )
    return by_run


if __name__ == "__main__":
    cli.run(main)
