"""Sets chosen on one split or wording and scored on all: rows of a table, points, numbers."""

from typing import Any

import numpy as np
import polars as pl

from stages.lib.forward import Readouts
from stages.lib.patching import patch, patched_runs
from stages.lib.patching.cases import Cases
from stages.lib.patching.patch import Head
from stages.lib.stats import run_points
from stages.robustness import head_sets, restored
from stages.robustness.head_sets import Singles
from stages.robustness.robustness import SPLIT, WORDING, Alone, HeadSet, Scored, reversible

SCHEMA = patched_runs.SCHEMA | {
    "wording": pl.String,
    "chosen_on": pl.String,
    "set": pl.String,
}
ALL = "all"
UNPATCHED = "unpatched"


def single_rows(alone: Alone, config: patch.Config) -> pl.DataFrame:
    """Rows of the runs of one wording that sets are chosen by."""
    named = [(f"alone {head.layer}.{head.head}", [head]) for head in alone.heads]
    parts = [
        *_unpatched(alone.cases, alone.readouts, config),
        *(
            patched_runs.rows(alone.cases, p, config.source, config.base, name, heads)
            for (name, heads), p in zip(named, alone.readouts.patched, strict=True)
        ),
    ]
    columns = {"wording": alone.wording, "chosen_on": "", "set": ""}
    return pl.concat(parts).with_columns(**{k: pl.lit(v) for k, v in columns.items()})


def rows(scored: Scored, sets: list[HeadSet], config: patch.Config) -> pl.DataFrame:
    """Rows of one wording's scored sets, in both directions, and of its unpatched runs."""
    found, names = scored.cases, {"chosen_on": pl.lit(""), "set": pl.lit("")}
    parts = [part.with_columns(**names) for part in _unpatched(found, scored.into_base, config)]
    into_base = zip(sets, scored.into_base.patched, strict=True)
    into_source = zip(reversible(sets), scored.into_source.patched, strict=True)
    directions = (
        (into_base, config.source, config.base),
        (into_source, config.base, config.source),
    )
    for pairs, source, base in directions:
        for one, p in pairs:
            name = f"{one.chosen_on} {one.name}"
            names = {"chosen_on": pl.lit(one.chosen_on), "set": pl.lit(one.name)}
            part = patched_runs.rows(found, p, source, base, name, one.heads)
            parts.append(part.with_columns(**names))
    return pl.concat(parts).with_columns(wording=pl.lit(scored.wording)).select(list(SCHEMA))


def points(
    scored: Scored, sets: list[HeadSet], splits: list[str], config: patch.Config
) -> list[dict[str, Any]]:
    """Accuracy of every run of one wording on all statements and on each split.

    Returns
    -------
    list of dict
        Rows of plots/robustness/table.json.

    References
    ----------
    arXiv:2311.15131, tables 2 to 4: one set, chosen on one split and wording, by split and wording.
    """
    source, base = config.source, config.base
    runs = [
        (UNPATCHED, source, "source", scored.into_base.source),
        (UNPATCHED, base, "base", scored.into_base.base),
    ]
    for one, p in zip(sets, scored.into_base.patched, strict=True):
        runs.append((one.chosen_on, one.name, "patched", p))
    for one, p in zip(reversible(sets), scored.into_source.patched, strict=True):
        runs.append((one.chosen_on, one.name, "reverse", p))
    result = []
    for chosen_on, name, run, p in runs:
        names = {"wording": scored.wording, "chosen_on": chosen_on, "set": name, "run": run}
        for split in (ALL, *splits):
            kept = (scored.cases.table["split"] == split).to_numpy() | (split == ALL)
            point = run_points.point(scored.cases, p, kept)
            result.append({**names, "source": source, "base": base, "split": split, **point})
    return result


def overlaps(sets: list[HeadSet]) -> list[dict[str, Any]]:
    """Jaccard index of every pair of sets: rows of plots/robustness/overlap.json."""
    return [
        {
            "first_chosen_on": a.chosen_on,
            "first": a.name,
            "second_chosen_on": b.chosen_on,
            "second": b.name,
            "jaccard": float(head_sets.jaccard(a.members, b.members)),
            "n": len(a.heads),
        }
        for a in sets
        for b in sets
    ]


def summarise(
    sets: list[HeadSet],
    scored: list[Scored],
    points: list[dict[str, Any]],
    every: list[Head],
) -> dict[str, Any]:
    """Collect what the sets are, what they restore under each wording, and how they generalise.

    Returns
    -------
    dict
        Most of what metrics/robustness.json holds.
    """
    overall = [point for point in points if point["split"] == ALL]
    numbers = {
        (p["wording"], p["chosen_on"], p["set"], p["run"]): run_points.numbers(p) for p in overall
    }
    by_set: dict[str, Any] = {}
    for i, one in enumerate(sets):
        by_set.setdefault(one.chosen_on, {})[one.name] = {
            "heads": one.heads,
            "scored": {
                each.wording: {
                    **numbers[each.wording, one.chosen_on, one.name, "patched"],
                    "restored": _restored(each, i),
                    "reverse": numbers.get((each.wording, one.chosen_on, one.name, "reverse")),
                }
                for each in scored
            },
        }
    size = len(sets[0].heads) if sets else None
    return {
        "n_heads": size,
        "n_candidates": len(every),
        "overlap_by_chance": head_sets.by_chance(len(every), size) if size else None,
        "sets": by_set,
        "unpatched": {
            each.wording: {
                run: row
                for (wording, chosen_on, _, run), row in numbers.items()
                if (wording, chosen_on) == (each.wording, UNPATCHED)
            }
            for each in scored
        },
        "generalisation": {
            SPLIT: _generalisation(sets, SPLIT, scored[:1]),
            WORDING: _generalisation(sets, WORDING, scored),
        },
    }


def overlap_numbers(
    sets: list[HeadSet], own: Singles, n_shuffles: int, seed: int
) -> dict[str, Any]:
    """Overlap of sets chosen on different splits, wordings and draws of subjects.

    Parameters
    ----------
    sets : list of HeadSet
        All sets.
    own : Singles
        Of the default wording.
    n_shuffles, seed : int
        Of the control for splits, and of all draws.
    """
    if not sets or not own.gain.size:
        return {SPLIT: None, WORDING: None, "seed": None}
    size = len(sets[0].heads)
    members = {kind: [s.members for s in sets if s.chosen_on == kind] for kind in (SPLIT, WORDING)}
    by_split = head_sets.overlap(members[SPLIT])
    if by_split["n_pairs"]:
        by_split["shuffled"] = head_sets.shuffled(own, size, n_shuffles, seed)
    return {
        SPLIT: by_split,
        WORDING: head_sets.overlap(members[WORDING]),
        "seed": head_sets.resampled(own, size, seed),
    }


def _unpatched(found: Cases, readouts: Readouts, config: patch.Config) -> list[pl.DataFrame]:
    """Rows of the source and of the base run."""
    runs = ((readouts.source, config.source), (readouts.base, config.base))
    return [patched_runs.rows(found, p, persona, persona) for p, persona in runs]


def _truths(scored: Scored) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth of source, base and patched runs."""
    given, label = scored.into_base, scored.cases.label
    source, base, patched = (
        patch.truth(p, label) for p in (given.source, given.base, given.patched)
    )
    return source, base, patched


def _restored(scored: Scored, i: int) -> dict[str, Any]:
    """Share of the truth between base and source run that a set gives back."""
    source, base, patched = _truths(scored)
    gains = {"restored": patched[i] - base}
    return restored.shares(gains, source - base, scored.cases.subject)["restored"].row()


def _generalisation(sets: list[HeadSet], kind: str, scored: list[Scored]) -> dict[str, Any]:
    """Share restored by the set that was chosen where it is scored, by the others, and off - on."""
    mine = [i for i, one in enumerate(sets) if one.chosen_on == kind]
    names = np.array([sets[i].name for i in mine])
    gaps, on, off, subjects = [], [], [], []
    for each in scored:
        source, base, patched = _truths(each)
        table = each.cases.table
        place = table["split"].to_numpy() if kind == SPLIT else np.full(len(table), each.wording)
        own = names[:, None] == place  # (n_sets, n_statements)
        kept = (own.sum(axis=0) == 1) & (len(mine) > 1)
        gain, own = (patched[mine] - base)[:, kept], own[:, kept]
        on.append((gain * own).sum(axis=0))
        off.append((gain * ~own).sum(axis=0) / max(1, len(mine) - 1))
        gaps.append((source - base)[kept])
        subjects.append(each.cases.subject[kept])
    same, other = np.concatenate(on), np.concatenate(off)
    gains = {"on_diagonal": same, "off_diagonal": other, "difference": other - same}
    found = restored.shares(gains, np.concatenate(gaps), np.concatenate(subjects))
    return {name: interval.row() for name, interval in found.items()} | {"n_sets": len(mine)}
