"""Scores of `robustness`: what each set does on every split and wording, and what sets share.

Params  patch, robustness
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from stages.lib import stats
from stages.lib.io import cli, params, tables
from stages.lib.patching import cases, patch, patched_runs
from stages.lib.patching.cases import Cases
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.patch import Head
from stages.lib.stats import Interval, resample, run_points
from stages.robustness import scores_overlap
from stages.robustness.config import RobustnessConfig
from stages.robustness.head_sets import (
    SEARCH,
    SPLIT,
    WORDING,
    HeadSet,
    Singles,
    reversible,
)
from stages.robustness.schema import SCHEMA
from stages.robustness.wordings import DEFAULT

ALL = "all"
UNPATCHED = "unpatched"
KINDS = (SEARCH, SPLIT, WORDING)  # in the order of plots
LEAST_GAP = 0.1  # of truth between source and base run: with less, a share of it is noise
Answers = dict[tuple[str, str, str], np.ndarray]
"""P(true) and P(false), (n_statements, 2), by what a set was chosen on, its name and the run."""


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[
        Path,
        "writes table.json (one row per set, wording, run and split) and overlap.json (one "
        "row per pair of sets) into this folder",
    ],
) -> None:
    """Count what the sets do on the report part, and how they were chosen on the selection part."""
    options = params.section("robustness", RobustnessConfig)
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, SCHEMA, pairs)
    splits = sorted(set(tables.read(pairs, tables.PAIRS)["split"]))
    wordings = [DEFAULT, *options.wordings]
    chosen_on, scored_on = (
        about.only(about.table.filter(pl.col("part") == part)["statement_id"])
        for part in cases.PARTS
    )
    chosen, scored = (
        table.filter(pl.col("statement_id").is_in(part.table["statement_id"].implode()))
        for part in (chosen_on, scored_on)
    )
    window = candidates(chosen)
    sets = sets_of(scored, window, wordings)
    given = {wording: answers(scored, sets, wording, config) for wording in wordings}
    points_found = points(scored_on, given, splits, config)
    tables.write_rows(plots / "table.json", points_found)
    tables.write_rows(plots / "overlap.json", scores_overlap.pairs(sets))
    own = singles(chosen_on, chosen, window, config)
    layers = [head.layer for head in window]
    result = {
        **summarise(scored_on, given, sets, points_found, len(window)),
        "overlap": scores_overlap.numbers(sets, own, options.shuffles, options.seed),
        "chosen_by": "the heads of the best window that gain most truth alone",
        "window": {"first_layer": layers[0], "last_layer": layers[-1]} if layers else None,
        "known": {
            "selection": cases.count(chosen_on.table),
            "report": cases.count(scored_on.table),
        },
    }
    tables.write_json(metrics, result)


def candidates(chosen: pl.DataFrame) -> list[Head]:
    """Heads of the window, in order: those that were patched in alone, in the runs that choose."""
    return sorted({Head(**head) for heads in chosen["heads"].unique() for head in heads})


def sets_of(scored: pl.DataFrame, window: list[Head], wordings: list[str]) -> list[HeadSet]:
    """List the sets that were scored.

    Parameters
    ----------
    scored : DataFrame
        Runs on the report part, with the columns of `SCHEMA`.
    window : list of Head
        From `candidates`.
    wordings : list of str
        Their names, in the order of params.yaml.

    Returns
    -------
    list of HeadSet
        The set of stage `heads`, then those of splits, then those of wordings.
    """
    found = scored.filter(pl.col("set") != "").unique(["chosen_on", "set"])
    sets = []
    for chosen_on, name, heads in found.select("chosen_on", "set", "heads").iter_rows():
        own = [Head(**head) for head in heads]
        members = np.array([head in own for head in window])
        sets.append(HeadSet(chosen_on, name, members, own))

    def place(one: HeadSet) -> tuple[int, int | str]:
        """Its place in the list."""
        name = wordings.index(one.name) if one.chosen_on == WORDING else one.name
        return KINDS.index(one.chosen_on), name

    return sorted(sets, key=place)


def singles(about: Cases, chosen: pl.DataFrame, window: list[Head], config: PatchConfig) -> Singles:
    """Truth that each head of the window gains alone, in the default wording.

    Parameters
    ----------
    about : Cases
        The statements of the selection part.
    chosen : DataFrame
        Runs on them, with the columns of `SCHEMA`.
    window : list of Head
        From `candidates`.
    config : PatchConfig
        Section `patch`.
    """
    own = chosen.filter(pl.col("wording") == DEFAULT)

    def truth(patch_id: str, source: str) -> np.ndarray:
        """Of one run into the base persona: (n_statements,)."""
        columns = {"patch_id": patch_id, "source": source, "base": config.base}
        return patch.truth(patched_runs.probabilities(own, **columns), about.label)

    base = truth("none", config.base)
    gain = [truth(f"alone {layer}.{head}", config.source) - base for layer, head in window]
    split = about.table["split"].to_numpy()
    return Singles(np.reshape(gain, (len(window), len(base))), split, about.subject)


def answers(
    scored: pl.DataFrame, sets: list[HeadSet], wording: str, config: PatchConfig
) -> Answers:
    """Look up all runs of one wording on the report part, in the order of plots."""
    own = scored.filter(pl.col("wording") == wording)
    roles = {"source": config.source, "base": config.base}
    found = {
        (UNPATCHED, persona, role): patched_runs.probabilities(own, source=persona, base=persona)
        for role, persona in roles.items()
    }
    directions = (
        ("patched", sets, config.source, config.base),
        ("reverse", reversible(sets), config.base, config.source),
    )
    for run, some, source, base in directions:
        for one in some:
            columns = {"chosen_on": one.chosen_on, "set": one.name, "source": source, "base": base}
            found[one.chosen_on, one.name, run] = patched_runs.probabilities(own, **columns)
    return found


def points(
    about: Cases, given: dict[str, Answers], splits: list[str], config: PatchConfig
) -> list[dict[str, Any]]:
    """Accuracy of every run on all statements and on each split.

    Parameters
    ----------
    about : Cases
        The statements of the report part.
    given : dict of str to dict
        Runs of each wording, from `answers`.
    splits : list of str
        Their names.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of dict
        Rows of plots/robustness/table.json.

    References
    ----------
    arXiv:2311.15131, tables 2 to 4: one set, chosen on one split and wording, by split and wording.
    """
    personas = {"source": config.source, "base": config.base}
    result = []
    for wording, runs in given.items():
        for (chosen_on, name, run), p in runs.items():
            names = {"wording": wording, "chosen_on": chosen_on, "set": name, "run": run}
            for split in (ALL, *splits):
                kept = (about.table["split"] == split).to_numpy() | (split == ALL)
                point = run_points.point(about, p, kept)
                result.append({**names, **personas, "split": split, **point})
    return result


def summarise(
    about: Cases,
    given: dict[str, Answers],
    sets: list[HeadSet],
    points: list[dict[str, Any]],
    n_candidates: int,
) -> dict[str, Any]:
    """Collect what the sets are, what they restore under each wording, and how they generalise.

    Parameters
    ----------
    about, given
        As `points`.
    sets : list of HeadSet
        From `sets_of`.
    points : list of dict
        From `points`.
    n_candidates : int
        Heads of the window.

    Returns
    -------
    dict
        Most of what metrics/robustness.json holds.
    """
    numbers = {
        (p["wording"], p["chosen_on"], p["set"], p["run"]): run_points.numbers(p)
        for p in points
        if p["split"] == ALL
    }
    by_set: dict[str, Any] = {}
    for one in sets:
        of = one.chosen_on, one.name
        by_set.setdefault(one.chosen_on, {})[one.name] = {
            "heads": one.heads,
            "scored": {
                wording: {
                    **numbers[wording, *of, "patched"],
                    "restored": _restored(about, runs, one),
                    "reverse": numbers.get((wording, *of, "reverse")),
                }
                for wording, runs in given.items()
            },
        }
    size = len(sets[0].heads) if sets else None
    default = {DEFAULT: given[DEFAULT]}
    return {
        "n_heads": size,
        "n_candidates": n_candidates,
        "overlap_by_chance": scores_overlap.by_chance(n_candidates, size) if size else None,
        "sets": by_set,
        "unpatched": {
            wording: {
                run: numbers[wording, chosen_on, name, run]
                for chosen_on, name, run in runs
                if chosen_on == UNPATCHED
            }
            for wording, runs in given.items()
        },
        "generalisation": {
            SPLIT: _generalisation(about, default, sets, SPLIT),
            WORDING: _generalisation(about, given, sets, WORDING),
        },
    }


def shares(
    gains: Mapping[str, ArrayLike], gap: ArrayLike, subject: NDArray, seed: int = 0
) -> dict[str, Interval]:
    """Mean gain over mean gap, with an interval that draws subjects for both at once.

    Parameters
    ----------
    gains : dict of str to array of shape (n_rows,)
        What is to be told as a share: for example truth of a patched run minus that of the base
        run. All of them see the same draws, so that a difference of two gains is paired.
    gap : array of shape (n_rows,)
        Truth of the source run minus that of the base run.
    subject : ndarray of shape (n_rows,)
        What each row's statement is about; a subject may stand in many rows.
    seed : int
        Of the draws.

    Returns
    -------
    dict of str to Interval
        No value where the gap is not surely above `LEAST_GAP`: there is no lie to undo.
    """
    whole = np.asarray(gap, dtype=np.float64)
    reach = stats.difference(whole, np.zeros_like(whole), subject)
    if reach.low is None or reach.low < LEAST_GAP:
        return dict.fromkeys(gains, Interval(None, None, None, reach.n))
    rows = np.stack([*(np.asarray(gain, dtype=np.float64) for gain in gains.values()), whole])
    drawn = resample.means(rows, subject, np.random.default_rng(seed))
    ratios = drawn[:, :-1] / drawn[:, -1:]
    n_subjects = len(np.unique(subject))
    return {
        name: Interval(
            float(row.mean() / whole.mean()), *stats.bootstrapped(ratio, n_subjects), reach.n
        )
        for name, row, ratio in zip(gains, rows, ratios.T, strict=False)
    }


def _gains(about: Cases, runs: Answers, sets: list[HeadSet]) -> tuple[np.ndarray, np.ndarray]:
    """Truth above the base run: of each set, (n_sets, n_statements), and of the source run."""
    truth = {key: patch.truth(p, about.label) for key, p in runs.items()}
    source, base = (truth[key] for role in ("source", "base") for key in truth if key[2] == role)
    gain = [truth[one.chosen_on, one.name, "patched"] - base for one in sets]
    return np.reshape(gain, (len(sets), len(base))), source - base


def _restored(about: Cases, runs: Answers, one: HeadSet) -> dict[str, Any]:
    """Share of the truth between base and source run that a set gives back."""
    gain, gap = _gains(about, runs, [one])
    return shares({"restored": gain[0]}, gap, about.subject)["restored"].row()


def _generalisation(
    about: Cases, given: dict[str, Answers], sets: list[HeadSet], kind: str
) -> dict[str, Any]:
    """Share restored by the set that was chosen where it is scored, by the others, and off - on."""
    mine = [one for one in sets if one.chosen_on == kind]
    names = np.array([one.name for one in mine])
    split = about.table["split"].to_numpy()
    gaps, on, off, subjects = [], [], [], []
    for wording, runs in given.items():
        gain, gap = _gains(about, runs, mine)
        place = split if kind == SPLIT else np.full(len(split), wording)
        own = names[:, None] == place  # (n_sets, n_statements)
        kept = (own.sum(axis=0) == 1) & (len(mine) > 1)
        gain, own = gain[:, kept], own[:, kept]
        on.append((gain * own).sum(axis=0))
        off.append((gain * ~own).sum(axis=0) / max(1, len(mine) - 1))
        gaps.append(gap[kept])
        subjects.append(about.subject[kept])
    same, other = np.concatenate(on), np.concatenate(off)
    gains = {"on_diagonal": same, "off_diagonal": other, "difference": other - same}
    found = shares(gains, np.concatenate(gaps), np.concatenate(subjects))
    return {name: interval.row() for name, interval in found.items()} | {"n_sets": len(mine)}


if __name__ == "__main__":
    cli.run(main)
