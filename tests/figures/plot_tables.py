"""Made-up plot tables of any size: the columns that figures declare, and values for each of them."""

import itertools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from stages.benchmark.config import NAMES
from stages.figures import __main__ as figures
from stages.lib.drawing import registry
from stages.lib.drawing.columns import ACCURACY, CELL, PAIR, POINT, bounded, floats, ints, texts
from stages.lib.io import tables

Rows = list[dict[str, Any]]
PERSONAS = ("neutral", "honest", "liar")
PLAIN = ("capitals", "cities", "continents", "elements", "currencies", "comparisons")
TOPICS = tuple(itertools.chain(*((name, f"neg_{name}") for name in PLAIN)))
METHODS = ("logistic", "mass_mean", "ttpd")
RULES = ("estimate", "single", "greedy_p_correct", "random")
MOVED = ("patched", "reverse")
UNDRAWN = {  # on the page of `dvc plots` alone
    "single_heads/single_heads": texts("measure") | CELL | POINT | bounded("effect"),
    "transfer/cosine_layers": texts("persona") | ints("first", "second") | floats("cosine"),
    "transfer/personas": texts("method") | PAIR | ints("layer") | ACCURACY,
    "transfer/cosine_topics": texts("method", "persona", "first", "second")
    | ints("layer")
    | floats("cosine"),
}
ANSWERED = ("behaviour/", "grid/")  # measured whatever the model knows
MADE_OF_KNOWN = ("logit_attribution/", "attribution_patching/", "heads/", "benchmark/", "grafts/", "trace/", "erasure/probes", "robustness/overlap",
                 "set_sizes/smallest")  # fmt: skip
SIGNED = ("effect", "estimate", "contribution", "cosine", "log_odds")


def write(
    folder: Path,
    personas: tuple[str, ...] = PERSONAS,
    topics: tuple[str, ...] = TOPICS,
    layers: int = 30,
    heads: int = 9,
    shift: float = 0.0,
    known: bool = True,
    source: str = "honest",
    base: str = "liar",
) -> Path:
    """Write all plot tables.

    `shift` moves the rates, as another revision would. Without `known` the model knows no
    statement: nothing is measured beyond its answers, no window chosen and no head tried.
    """
    rng = np.random.default_rng(0)
    topics = (*topics, "all")
    roles = _roles(source, base)
    keys = (
        _of_patching(topics, layers, heads, roles, known)
        | _of_sets(topics, layers * heads, roles)
        | _of_probes(personas, topics, layers, heads)
        | _of_answers(personas, topics, roles)
    )
    for name, schema in (registry.schemas(figures.declared()) | UNDRAWN).items():
        measured = known or name.startswith(ANSWERED)
        rows = keys[name] if name in keys else _of_any_sweep(schema, layers, heads, roles)
        rows = [] if name.startswith(MADE_OF_KNOWN) and not known else rows
        rows = [_filled(row if measured else row | {"n": 0}, schema, shift, rng) for row in rows]
        tables.write_rows(folder / f"{name}.json", rows)
    return folder


def _filled(row: dict[str, Any], schema: tables.Schema, shift: float, rng) -> dict[str, Any]:
    """The row with n and all numbers that it lacks, nulls where n is 0."""
    row = {"n": 240 if row.get("topic") == "all" else 20} | row
    levels: dict[str, float] = {}
    made = [name for name, dtype in schema.items() if dtype == pl.Float64 and name not in row]
    for name in made:
        stem = re.sub("_?(low|high)$", "", name)
        stem = stem or next(one for one in made if f"{one}_low" not in schema)
        value = levels.setdefault(stem, _level(stem, row, rng) + shift)
        value += {"low": -0.05, "high": 0.05}.get(name.split("_")[-1], 0.0)
        row[name] = value if row["n"] else None
    counts = {name: row["n"] for name in schema if name.endswith("_n")}
    return {name: (row | counts).get(name) for name in schema}


def _level(name: str, row: dict[str, Any], rng) -> float:
    """A number that differs by series, with some noise."""
    series = "".join(str(row.get(key)) for key in ("persona", "run", "fit", "scored", "labels"))
    level = 0.1 + 0.7 * (sum(series.encode()) % 10) / 10 + rng.normal(0, 0.03)
    return float(level - 0.5 if name in SIGNED else level)


def _each(**columns: Iterable[Any]) -> Rows:
    """One row per combination of the columns' values."""
    return [dict(zip(columns, row, strict=True)) for row in itertools.product(*columns.values())]


def _cross(*splits: Rows) -> Rows:
    """One row per combination of the splits' rows."""
    return [{k: v for one in rows for k, v in one.items()} for rows in itertools.product(*splits)]


def _roles(source: str, base: str) -> dict[str, dict[str, str]]:
    into = {"source": (source, source), "patched": (source, base), "base": (base, base)}
    into |= {"reverse": (base, source), "random": (source, base), "elsewhere": (source, base)}
    return {run: {"run": run, "source": of, "base": on} for run, (of, on) in into.items()}


def _windows(layers: int, size: int, step: int = 1) -> Rows:
    size = min(size, layers)
    firsts = range(0, layers - size + 1, step)
    return [{"size": size, "first_layer": i, "last_layer": i + size - 1} for i in firsts]


def _of_any_sweep(schema: tables.Schema, layers: int, heads: int, roles) -> Rows:
    """Of a table that is not made below: every run in every split, layer and head that it has."""
    values = {"split": ("selection", "report"), "layer": range(layers), "head": range(heads)}
    runs = [roles["patched"], roles["source"], roles["base"]]
    return _cross(runs, _each(**{name: values[name] for name in schema if name in values}))


def _of_patching(topics, layers, heads, roles, known) -> dict[str, Rows]:
    """Of windows and single heads."""
    first = max(0, layers // 2 - 2)
    window = range(first, min(first + 5, layers))
    every = _each(layer=range(layers), head=range(heads))
    unpatched, four = [roles["source"], roles["base"]], list(roles.values())[:4]
    sizes = sorted({min(size, layers) for size in (1, 3, 5)})
    persona = [{"persona": run["source"]} for run in unpatched]
    read = [{"run": run["run"], "persona": run["source"]} for run in unpatched]
    read += [{"run": "difference", "persona": "both", "answer_mass": None, "share": 0.01}]
    chosen = [
        run | one | {"chosen": run["run"] in MOVED and one["first_layer"] == (layers - size) // 2}
        for size in sizes
        for run, one in itertools.product(four, _windows(layers, size))
    ]
    best = [
        {**run, "window": window, "size": size, "first_layer": first, "last_layer": last}
        for run, size in itertools.product(four, sizes)
        for window, first, last in (
            [("best", layers - size, layers - 1), ("control", 0, size - 1)] * known
            if run["run"] in MOVED
            else [("none", None, None)]
        )
    ]
    erasers = _each(eraser=("none", "leace", "oracle", "permuted", "random"), draw=[0])
    erasers += [{"eraser": "random", "draw": 1}]
    erased = [*_windows(layers, 5, max(1, layers // 6)), *_windows(layers, 10, max(1, layers // 6))]
    probes = _each(
        probe=("fitted", "report", "before", "fresh"), z=("unerased", "erased", "permuted")
    )
    probes = [row for row in probes if (row["probe"], row["z"]) != ("before", "unerased")]
    grown = [{"layer": None, "head": None}, *_each(layer=window, head=range(heads))[:9]]
    return {
        "windows/windows": _cross(_each(split=("selection", "report")),
                                  [roles["patched"], *unpatched], _windows(layers, 5)),
        "single_heads/single_heads": _cross(_each(measure=["alone"]), every),
        "attribution_patching/attribution_patching": every,
        "heads/heads": _each(measure=("alone", "left_out"), layer=window, head=range(heads)),
        "heads/sets": [{"size": size} | row for size, row in enumerate(grown)],
        "ground_truth/layers": [{"layer": i, "trained": i in window} for i in range(layers)],
        "grafts/units": _cross(
            [{"part": f"layer {i}", "unit": "layer", "layer": i} for i in window]
            + [{"unit": "head", "layer": i, "index": j} for i in window for j in range(heads)]
            + [{"part": name, "unit": "map", "map": name} for name in ("o_proj", "q_proj")]
            + [{"part": name, "unit": name} for name in ("all", "set", "rest")],
            _each(run=("without", "alone")),
            [{"size": 1.5}],
        ),
        "benchmark/methods": _cross(
            _each(organism=("early_15", "middle_15", "facts"), method=[*NAMES]), [{"exact": True}]
        ),
        "benchmark/doses": _each(
            organism=("early_15", "middle_15"), method=("attribution", "single_heads_last"),
            dose=(0.0, 0.25, 0.5, 1.0),
        ),
        "trace/map": _cross(
            [roles["patched"], roles["reverse"]],
            _each(block=("system", "user turn", "last token", "last 25", "all")),
            _each(layer=range(layers)),
        ),
        "trace/paths": _each(path=(f"{first} user turn → {layers - 1} {block}"
                                   for block in ("last token", "all")), run=("through", "around")),
        "erasure/windows": _cross(persona, erasers, erased),
        "erasure/probes": _cross(persona, probes, _each(layer=range(layers))),
        "logit_attribution/layers": _cross(_each(site=("attention", "mlp")), read,
                                     _each(layer=range(layers))),
        "logit_attribution/heads": _cross([row | {"measure": row["persona"]} for row in read], every),
        "logit_attribution/lens": _cross(_each(site=["resid_post"]), read,
                                   _each(layer=range(layers + 1))),
        "widths/layers": chosen,
        "widths/topics": _cross(_each(topic=topics), best),
    }  # fmt: skip


def _of_sets(topics, n_all, roles) -> dict[str, Rows]:
    """Of sets of heads, and of where they are patched."""
    runs = list(roles.values())
    source, patched, base, reverse = runs[:4]
    drawn = _cross(runs[4:], _each(draw=range(20)))
    counted = [source | {"patched": "nothing"}, base | {"patched": "nothing"}]
    counted += [patched | {"patched": name} for name in ("window", "set")]
    blocks = [
        {**patched, "run": run, "block": block, "positions": 3.5 + i}
        for i, block in enumerate(("system", "user turn", "question", "prefix", "all"))
        for run in ("source", "alone", "elsewhere", "base", "left_out")
        if block != "all" or run not in ("elsewhere", "left_out")
    ]
    sets = [("search", "heads"), *(("topic", topic) for topic in topics[:-1])]
    sets += [("wording", "default"), ("wording", "manner")]
    scored = [run | {"chosen_on": "unpatched", "set": run["source"]} for run in (source, base)]
    scored += [patched | {"chosen_on": kind, "set": name} for kind, name in sets]
    scored += [reverse | {"chosen_on": "wording", "set": "default"}]
    lent = ("same_label", "other_label", "base_other_label")
    own = ("source", "patched", "base", "rest_of_layers", "rest_of_window", "mean_ablation_selection",
           "mean_ablation_report", "reverse", "reverse_rest")  # fmt: skip
    sizes = sorted({size for size in (0, 1, 2, 5, 14, 45, 100, n_all) if size <= n_all})
    curves = _each(rule=RULES, draw=range(3), direction=("up", "down"), size=sizes)
    areas = _each(rule=RULES, direction=("up", "down"), measure=("auc", "auc_log"),
                  against=(None, "single"))  # fmt: skip
    return {
        "transplant/transplant": _cross(
            _each(topic=topics), [row | {"draw": 0} for row in runs[:4]] + drawn
        ),
        "positions/counts": _cross(counted, _each(positions=(1, 5, 25))),
        "positions/blocks": blocks,
        "robustness/table": _cross(_each(wording=("default", "manner")), scored,
                                   _each(topic=topics)),
        "robustness/overlap": [
            {"first_chosen_on": a, "first": b, "second_chosen_on": c, "second": d}
            for (a, b), (c, d) in itertools.product(sets, sets)
        ],
        "controls/controls": _cross(
            _each(topic=topics),
            [patched | row for row in _each(measure=["accuracy"], run=own + lent)
             + _each(measure=["follows_donor"], run=lent)],
        ),
        "set_sizes/set_sizes": [r for r in curves if r["rule"] == "random" or r["draw"] == 0],
        "set_sizes/auc": [row for row in areas if row["rule"] != row["against"]],
        "set_sizes/smallest": _each(rule=RULES[:-1], size=[7]),
    }  # fmt: skip


def _of_probes(personas, topics, layers, heads) -> dict[str, Rows]:
    """Of probes and their directions."""
    pairs = [{"first": a, "second": b} for a, b in itertools.combinations(personas, 2)]
    alone = list(topics[:-1])
    made = _each(method=METHODS, persona=personas, layer=[layers // 2])
    words = {"method": "bag_of_tokens", "persona": "statement text", "layer": None, "fit": "all"}
    between = [{"first": a, "second": b} for a, b in itertools.combinations(range(layers + 1), 2)]
    layer = _each(layer=range(layers + 1))
    labels = [
        *_each(method=METHODS, labels=["true"]),
        {"method": "mass_mean", "labels": "permuted"},
    ]
    return {
        "probes/layers": _cross(_each(site=("resid_post", "z"), labels=("true", "permuted")),
                                _each(fit=personas, scored=personas), layer),
        "probes/heads": _each(fit=personas, scored=personas, layer=range(layers),
                              head=range(heads)),
        "probes/cosine": _cross(_each(site=("resid_post", "z")), pairs, layer),
        "transfer/layers": _cross(labels, _each(persona=personas), layer),
        "transfer/personas": _each(method=METHODS, fit=personas, scored=personas,
                                   layer=[layers // 2]),
        "transfer/topics": _cross(made, _each(fit=alone, scored=alone))
        + [words | {"scored": topic} for topic in topics],
        "transfer/polarity": _cross(
            made, _each(fit=("plain", "negated", "both"), scored=("plain", "negated"))
        ),
        "transfer/cosine": _cross(_each(method=METHODS), pairs, layer),
        "transfer/cosine_topics": [
            row | {"first": a, "second": b}
            for row in made
            for a, b in itertools.combinations(alone, 2)
        ],
        "transfer/cosine_layers": _cross(_each(persona=personas), between),
    }  # fmt: skip


def _of_answers(personas, topics, roles) -> dict[str, Rows]:
    """Of answers alone."""
    measures = ("accuracy", "recall_true", "recall_false", "answer_mass")
    combinations = _each(system=("liar", "none"), question=["short"], prefix=("plain", "sure"))
    left = [round(0.05 * step, 2) for step in range(21)]
    return {
        "behaviour/accuracy": _each(persona=personas, topic=topics, measure=measures),
        "behaviour/thresholds": [
            row | {"n": max(0, round(400 * (0.9 - row["threshold"])))}
            for row in _each(persona=personas, threshold=left)
        ],
        "confidence/thresholds": [
            row | {"n": max(0, round(400 * (0.7 - row["confidence"])))}
            for row in _cross(
                [roles[run] for run in ("patched", "source", "base", "reverse")],
                _each(confidence=left),
            )
        ],
        "grid/recall": _cross(_each(topic=topics, other_token=[" not"]), combinations),
        "grid/ranking": [row | {"rank": i} for i, row in enumerate(combinations, start=1)],
    }
