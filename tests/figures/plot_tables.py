"""Made-up plot tables of any size, with every column that the stages write."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from stages.lib.drawing import load
from stages.lib.io import tables

Rows = list[dict[str, Any]]
PERSONAS = ("neutral", "honest", "liar")
PLAIN = ("capitals", "cities", "continents", "elements", "currencies", "comparisons")
SPLITS = tuple(itertools.chain(*((name, f"neg_{name}") for name in PLAIN)))
LEVEL = {"neutral": 0.78, "honest": 0.84, "liar": 0.24}  # true answers per persona
METHODS = ("logistic", "mass_mean", "ttpd")
RUNS = {"source": 0.9, "patched": 0.74, "base": 0.16, "reverse": 0.3}

COMBINATIONS = list(itertools.product(("liar", "none"), ("short",), ("plain", "sure")))


def write(
    folder: Path,
    personas: tuple[str, ...] = PERSONAS,
    splits: tuple[str, ...] = SPLITS,
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
    first = max(0, layers // 2 - 2)
    window = range(first, min(first + 5, layers))
    made = {
        "behaviour/accuracy": _accuracy(rng, personas, splits, shift),
        "behaviour/thresholds": _thresholds(personas, shift),
        "probes/layers": _probe_layers(rng, personas, layers),
        "probes/heads": _probe_heads(rng, personas, layers, heads),
        "probes/cosine": _cosine(rng, personas, layers),
        "windows/windows": _windows(rng, layers, shift, source, base),
        "effects/effects": _effects(window, layers, heads),
        "erasure/windows": _erased(rng, layers, shift, source, base),
        "erasure/probes": _erased_probes(rng, layers, shift, source, base),
        "heads/heads": _heads(rng, window, heads, shift),
        "heads/sets": _sets(window, heads, shift),
        "transplant/transplant": _transplant(rng, splits, shift, source, base),
        "localisation/layers": _planted(window, layers),
        "grid/recall": _recall(rng, splits, shift),
        "grid/ranking": _ranking(shift),
        "confidence/thresholds": _confidence(shift, source, base),
        "estimates/estimates": _estimates(rng, layers, heads),
        "attribution/layers": _parts(rng, layers, source, base),
        "attribution/heads": _head_parts(rng, layers, heads, source, base),
        "attribution/lens": _lens(layers, source, base),
        "widths/layers": _width_layers(layers, shift, source, base),
        "widths/splits": _width_splits(splits, layers, shift, source, base, known),
        "positions/counts": _counts(shift, source, base),
        "positions/blocks": _blocks(shift, source, base),
        "robustness/table": _robustness(splits, shift, source, base),
        "robustness/overlap": _overlap(splits, shift),
        "controls/controls": _controls(splits, shift, source, base),
        **_curves(rng, layers * heads, shift),
        "transfer/layers": _method_layers(rng, personas, layers),
        "transfer/personas": _method_personas(rng, personas, layers),
        "transfer/splits": _method_splits(rng, personas, splits, layers, shift),
        "transfer/polarity": _polarity(rng, personas, layers),
        "transfer/cosine": _method_cosine(personas, layers),
        "transfer/cosine_splits": _cosine_splits(rng, personas, splits, layers),
        "transfer/cosine_layers": _cosine_layers(personas, layers),
    }
    if not known:
        none = ("attribution/", "estimates/", "heads/", "erasure/probes", "robustness/overlap")
        empty = {name: [] for name in made if name.startswith((*none, "curves/smallest"))}
        made = {name: _unmeasured(name, rows) for name, rows in made.items()} | empty
    for name, rows in made.items():
        tables.write_rows(folder / f"{name}.json", [_bounded(name, row) for row in rows])
    return folder


def _bounded(name: str, row: dict[str, Any]) -> dict[str, Any]:
    """The row with an interval beside each number whose table has one."""
    for key in ("truth", "effect", "estimate"):
        if f"{key}_low" in load.SCHEMAS.get(name, {}) and f"{key}_low" not in row:
            value = row[key]
            ends = (None, None) if value is None else (value - 0.05, value + 0.05)
            row = row | {f"{key}_low": ends[0], f"{key}_high": ends[1]}
    return row


def interval(value: float, n: int, name: str = "accuracy") -> dict[str, Any]:
    """The columns of one rate; nulls where n is 0."""
    if n == 0:
        return {name: None, "low": None, "high": None, "n": 0}
    value = min(max(value, 0.0), 1.0)
    half = 1.96 * float(np.sqrt(max(value * (1 - value), 0.02) / n))
    return {name: value, "low": max(0.0, value - half), "high": min(1.0, value + half), "n": n}


def _unmeasured(name: str, rows: Rows) -> Rows:
    """The same rows with nothing measured, but for what is answered."""
    measured = {"accuracy", "low", "high", "truth", "cosine", "effect", "truth_mass", "log_odds"}
    measured |= {"kept", "value"}
    if name.startswith(("behaviour/", "grid/")):
        return rows
    return [
        {key: None if key in measured else 0 if key == "n" else value for key, value in row.items()}
        for row in rows
    ]


def _recall(rng, splits, shift) -> Rows:
    rows = []
    for split, (system, question, prefix) in itertools.product(("all", *splits), COMBINATIONS):
        row: dict[str, Any] = {"system": system, "question": question, "prefix": prefix}
        row["split"] = split
        for name in ("recall_true", "recall_false"):
            value = (0.2 if system == "liar" else 0.8) + shift + float(rng.normal(0, 0.05))
            for key, number in interval(value, 36 if split == "all" else 3, name).items():
                row[name if key == name else f"{name}_{key}"] = number
        rows.append(row | {"other": 0.1 + shift, "other_token": " not"})
    return rows


def _ranking(shift) -> Rows:
    return [
        {"system": system, "question": question, "prefix": prefix, "rank": rank}
        | interval(0.9 - 0.1 * rank + shift, 72, "lying")
        for rank, (system, question, prefix) in enumerate(COMBINATIONS, start=1)
    ]


def _confidence(shift, source, base) -> Rows:
    into = {"patched": (source, base), "source": (source, source), "base": (base, base)}
    into |= {"reverse": (base, source)}
    return [
        {"run": run, "source": of, "base": target, "confidence": round(step * 0.05, 2)}
        | interval(RUNS[run] + shift + 0.004 * step, max(0, 220 - step * step) if step < 14 else 0)
        for run, (of, target) in into.items()
        for step in range(21)
    ]


def _effects(window, layers, heads) -> Rows:
    return [
        {"measure": "alone", "layer": layer, "head": head, **interval(0.2, 16)}
        | {"truth": 0.2, "effect": 0.1 + 0.01 * head if layer in window else 0.001 * head}
        for layer, head in itertools.product(range(layers), range(heads))
    ]


def _planted(window, layers) -> Rows:
    return [
        {"layer": layer, "planted": layer in window, "effect": 0.1 * (layer in window)}
        | {"low": -0.05, "high": 0.15, "n": 16}
        for layer in range(layers)
    ]


def _estimates(rng, layers, heads) -> Rows:
    return [
        {"layer": layer, "head": head, "estimate": effect + float(rng.normal(0, 0.02))}
        | {"effect": effect, "n": 16}
        for layer, head in itertools.product(range(layers), range(heads))
        for effect in [float(rng.exponential(0.1)) - 0.02]
    ]


def _read_as(source, base) -> dict[str, str]:
    return {"source": source, "base": base, "difference": f"{source} - {base}"}


def _around(value: float, name: str = "contribution") -> dict[str, Any]:
    return {name: value, "low": value - 0.1, "high": value + 0.1, "n": 64}


def _parts(rng, layers, source, base) -> Rows:
    return [
        {"site": site, "run": run, "persona": persona, "layer": layer}
        | _around(float(rng.normal(0, 0.1)) + (-layer if run == "base" else layer) / layers)
        for site in ("attention", "mlp")
        for run, persona in _read_as(source, base).items()
        for layer in range(layers)
    ]


def _head_parts(rng, layers, heads, source, base) -> Rows:
    return [
        {"measure": persona, "run": run, "layer": layer, "head": head}
        | _around(float(rng.normal(0, 0.1)))
        | {"share": 0.01 if run == "difference" else None}
        for run, persona in _read_as(source, base).items()
        for layer, head in itertools.product(range(layers), range(heads))
    ]


def _lens(layers, source, base) -> Rows:
    rows = []
    for run, persona in _read_as(source, base).items():
        for layer in range(layers + 1):
            gain = 0.5 * layer / layers
            truth = {"source": 0.5 + gain, "base": 0.5 - gain, "difference": 2 * gain}[run]
            rate = None if run == "difference" else truth
            odds = {f"log_odds{end}": truth - 0.5 for end in ("", "_low", "_high")}
            rates = {f"accuracy{end}": rate for end in ("", "_low", "_high")}
            mass = None if run == "difference" else layer / layers
            rows.append(
                {"site": "resid_post", "run": run, "persona": persona, "layer": layer}
                | _around(truth, "truth")
                | {**odds, **rates, "truth_mass": mass}
            )
    return rows


def _accuracy(rng, personas, splits, shift) -> Rows:
    rows = []
    for persona, split in itertools.product(personas, (*splits, "all")):
        n = 480 if split == "all" else 40
        bias = 0.2 if split.startswith("neg_") else -0.05
        level = LEVEL.get(persona, 0.5) + shift + rng.normal(0, 0 if split == "all" else 0.06)
        for measure, value, share in (
            ("accuracy", level, 1),
            ("recall_true", level - bias, 0.5),
            ("recall_false", level + bias, 0.5),
            ("truth_mass", 0.93, 1),
        ):
            rate = interval(value, round(n * share), "value")
            rows.append({"persona": persona, "split": split, "measure": measure, **rate})
    return rows


def _thresholds(personas, shift) -> Rows:
    return [
        {
            "persona": persona,
            "threshold": round(step * 0.05, 2),
            **interval(
                LEVEL.get(persona, 0.5) + shift + 0.006 * step,
                max(0, 480 - 2 * step * step) if step < 19 else 0,
            ),
        }
        for persona in personas
        for step in range(21)
    ]


def _probe_layers(rng, personas, layers) -> Rows:
    rows = []
    pairs = list(itertools.product(personas, personas))
    for site, labels, (fit, scored) in itertools.product(
        ("resid_post", "z"), ("true", "permuted"), pairs
    ):
        for layer in range(layers + (site == "resid_post")):
            depth = 1 / (1 + np.exp(-(layer - layers / 2) / 2))
            top = 0.9 if fit == scored else 0.62 if "liar" in (fit, scored) else 0.82
            value = 0.5 + (top - 0.5) * depth * (0.7 if site == "z" else 1)
            value = 0.5 if labels == "permuted" else value
            rows.append(
                {"site": site, "labels": labels, "fit": fit, "scored": scored, "layer": layer}
                | interval(value + rng.normal(0, 0.015), 240)
            )
    return rows


def _probe_heads(rng, personas, layers, heads) -> Rows:
    return [
        {"fit": fit, "scored": scored, "layer": layer, "head": head}
        | interval(float(0.5 + sign * abs(rng.normal(0, 0.3)) * layer / layers / 2), 240)
        for fit, scored in itertools.product(personas, personas)
        for sign in [-1 if fit != scored and "liar" in (fit, scored) else 1]
        for layer in range(layers)
        for head in range(heads)
    ]


def _cosine(rng, personas, layers) -> Rows:
    return [
        {"site": site, "first": first, "second": second, "layer": layer}
        | {"cosine": float(np.cos(layer / layers * (2.2 if second == "liar" else 1)))}
        for site in ("resid_post", "z")
        for first, second in itertools.combinations(personas, 2)
        for layer in range(layers + (site == "resid_post"))
    ]


def _method_layers(rng, personas, layers) -> Rows:
    rows = []
    for method, persona in itertools.product(METHODS, personas):
        for labels in ("true", "permuted") if method == "mass_mean" else ("true",):
            for layer in range(layers + 1):
                value = 0.5 if labels == "permuted" else 0.5 + 0.45 * layer / (layers + 1)
                names = {"method": method, "persona": persona, "labels": labels, "layer": layer}
                rows.append(names | interval(value + rng.normal(0, 0.02), 240))
    return rows


def _method_personas(rng, personas, layers) -> Rows:
    return [
        {"method": method, "fit": fit, "scored": scored, "layer": layers // 2}
        | interval(0.9 - 0.3 * (fit != scored) + rng.normal(0, 0.02), 240)
        for method, fit, scored in itertools.product(METHODS, personas, personas)
    ]


def _method_splits(rng, personas, splits, layers, shift) -> Rows:
    rows = []
    for method, persona, fit, scored in itertools.product(METHODS, personas, splits, splits):
        fit = f"{fit} + neg_{fit}" if method == "ttpd" else fit
        value = 0.7 + shift + 0.2 * (fit == scored) + rng.normal(0, 0.1)
        names = {"method": method, "persona": persona, "layer": layers // 2}
        rows.append(names | {"fit": fit, "scored": scored} | interval(value, 20))
    words = {"method": "bag_of_tokens", "persona": "statement text", "layer": None, "fit": "all"}
    return rows + [words | {"scored": s} | interval(0.5 + shift, 240) for s in ("all", *splits)]


def _polarity(rng, personas, layers) -> Rows:
    sides = ("plain", "negated")
    return [
        {"method": method, "persona": persona, "layer": layers // 2, "fit": fit, "scored": scored}
        | interval(0.9 - 0.4 * (fit not in ("both", scored)) + rng.normal(0, 0.02), 120)
        for method, persona in itertools.product(METHODS, personas)
        for fit, scored in itertools.product(
            ("both",) if method == "ttpd" else (*sides, "both"), sides
        )
    ]


def _method_cosine(personas, layers) -> Rows:
    return [
        {"method": method, "first": first, "second": second, "layer": layer}
        | {"cosine": 1 - layer / layers, "low": None, "high": None}
        for method in METHODS
        for first, second in itertools.combinations(personas, 2)
        for layer in range(layers + 1)
    ]


def _cosine_splits(rng, personas, splits, layers) -> Rows:
    return [
        {"method": "logistic", "persona": persona, "layer": layers // 2}
        | {"first": first, "second": second, "cosine": float(rng.uniform(-1, 1))}
        for persona in personas
        for first, second in itertools.combinations(splits, 2)
    ]


def _cosine_layers(personas, layers) -> Rows:
    return [
        {"persona": persona, "first": i, "second": j, "cosine": 1 - (j - i) / layers}
        for persona in personas
        for i, j in itertools.combinations(range(layers + 1), 2)
    ]


def _windows(rng, layers, shift, source, base) -> Rows:
    rows = []
    size = min(5, layers)
    for part, run in itertools.product(("selection", "report"), ("patched", "source", "base")):
        for first in range(layers - size + 1):
            peak = 0.6 * np.exp(-(((first - (layers // 2 - 2)) / 4) ** 2))
            noise = rng.normal(0, 0.015) if run == "patched" else 0
            value = {"source": 0.92, "base": 0.16, "patched": 0.16 + peak + shift + noise}[run]
            rows.append(
                {"part": part, "run": run, "source": source, "base": base}
                | {"first_layer": first, "last_layer": first + size - 1}
                | interval(value, 40)
                | {"truth": value * 0.9}
            )
    return rows


def _erased(rng, layers, shift, source, base) -> Rows:
    rows = []
    erasers = (
        ("none", 0),
        ("leace", 0),
        ("oracle", 0),
        ("permuted", 0),
        ("random", 0),
        ("random", 1),
    )
    for persona, (eraser, draw) in itertools.product((source, base), erasers):
        level = {source: 0.92, base: 0.16}[persona]
        for size in (min(5, layers), min(10, layers)):
            for first in range(0, layers - size + 1, max(1, layers // 6)):
                drop = np.exp(-(((first - layers / 2) / 4) ** 2)) * (eraser in ("leace", "oracle"))
                value = level + (0.5 - level) * drop + shift
                value += 0.0 if eraser == "none" else float(rng.normal(0, 0.01))
                rows.append(
                    {"persona": persona, "eraser": eraser, "draw": draw, "size": size}
                    | {"first_layer": first, "last_layer": first + size - 1}
                    | interval(value, 32)
                    | {"truth": value * 0.9, "truth_mass": 0.98, "log_odds": 4.0}
                )
    return rows


def _erased_probes(rng, layers, shift, source, base) -> Rows:
    rows = []
    for persona, probe, z in itertools.product(
        (source, base), ("fitted", "report", "before", "fresh"), ("whole", "erased", "permuted")
    ):
        for layer in range(0 if probe == "before" and z == "whole" else layers):
            value = 0.5 + (0.4 * layer / layers if z != "erased" else 0) + shift
            value += float(rng.normal(0, 0.01))
            rows.append(
                {"persona": persona, "probe": probe, "z": z, "layer": layer} | interval(value, 240)
            )
    return rows


def _into(source, base) -> dict[str, dict[str, str]]:
    pairs = {"source": (source, source), "patched": (source, base), "base": (base, base)}
    pairs |= {"reverse": (base, source)}
    return {run: {"run": run, "source": of, "base": into} for run, (of, into) in pairs.items()}


def _sizes(layers) -> list[int]:
    return sorted({1, min(3, layers), min(5, layers)})


def _width_layers(layers, shift, source, base) -> Rows:
    rows = []
    for size, (run, names) in itertools.product(_sizes(layers), _into(source, base).items()):
        firsts = range(layers - size + 1)
        for first in firsts if run in ("patched", "reverse") else {0, firsts[-1]}:
            peak = 0.6 * np.exp(-(((first + size / 2 - layers / 2) / 3) ** 2))
            value = {"patched": 0.16 + peak, "reverse": 0.9 - peak}.get(run, RUNS[run]) + shift
            rows.append(
                {**names, "size": size, "first_layer": first, "last_layer": first + size - 1}
                | {"chosen": run in ("patched", "reverse") and first == len(firsts) // 2}
                | interval(value, 12)
                | {"truth": value * 0.9}
            )
    return rows


def _width_splits(splits, layers, shift, source, base, known) -> Rows:
    rows = []
    for size, split in itertools.product(_sizes(layers), ("all", *splits)):
        for run, names in _into(source, base).items():
            if run in ("patched", "reverse"):
                shown = {"best": layers - size, "control": 0} if known else {}
            else:
                shown = {"none": None}
            for window, first in shown.items():
                last = None if first is None else first + size - 1
                value = RUNS[run] + shift - 0.3 * (window == "control")
                rows.append(
                    {"size": size, "split": split, **names, "window": window}
                    | {"first_layer": first, "last_layer": last}
                    | interval(value, 60 if split == "all" else 5)
                    | {"truth": value * 0.9}
                )
    return rows


def _counts(shift, source, base) -> Rows:
    names = _into(source, base)
    shown = (("source", "nothing"), ("patched", "window"), ("patched", "set"), ("base", "nothing"))
    return [
        {**names[run], "source": source, "base": base, "written": written, "positions": count}
        | interval(value := RUNS[run] * (count / 25 if run == "patched" else 1) + shift, 32)
        | {"truth": value * 0.9}
        for count in (1, 5, 25)
        for run, written in shown
    ]


def _blocks(shift, source, base) -> Rows:
    blocks = ("system", "user turn", "question", "statement", "assistant turn", "prefix", "all")
    level = {"source": 0.9, "alone": 0.3, "elsewhere": 0.4, "base": 0.16, "left_out": 0.8}
    return [
        {"block": block, "run": run, "source": source, "base": base, "positions": 3.5 + i}
        | interval(value + shift + 0.02 * i, 32)
        | {"truth": value * 0.9}
        for i, block in enumerate(blocks)
        for run, value in level.items()
        if block != "all" or run not in ("elsewhere", "left_out")
    ]


def _heads(rng, window, heads, shift) -> Rows:
    rows = []
    for measure, layer, head in itertools.product(("alone", "left_out"), window, range(heads)):
        effect = float(rng.exponential(0.03)) - 0.01
        accuracy = 0.16 + effect if measure == "alone" else 0.76 - effect
        rows.append(
            {"measure": measure, "layer": layer, "head": head}
            | interval(accuracy + shift, 40)
            | {"truth": accuracy, "effect": effect}
        )
    return rows


def _sets(window, heads, shift) -> Rows:
    rows = []
    for size in range(10):
        kept = 1 - 0.7**size
        added = {"layer": window[size % len(window)], "head": size % heads} if size else {}
        rows.append(
            {"size": size, "layer": None, "head": None}
            | added
            | interval(0.16 + 0.6 * kept + shift, 40)
            | {"truth": 0.16 + 0.55 * kept, "kept": kept}
        )
    return rows


def _transplant(rng, splits, shift, source, base) -> Rows:
    into = {"source": (source, source), "patched": (source, base), "base": (base, base)}
    into |= {"reverse": (base, source)}
    rows = []
    for split in (*splits, "all"):
        n = 240 if split == "all" else 20
        for run, level in RUNS.items():
            value = level + shift + (0 if split == "all" else float(rng.normal(0, 0.06)))
            rows.append(_run(split, run, *into[run], 0, value, n))
        for control, level in (("random", 0.22), ("elsewhere", 0.06)):
            for draw in range(20):
                value = level + float(rng.normal(0, 0.04))
                rows.append(_run(split, control, source, base, draw, value, n))
    return rows


def _head_sets(splits) -> list[tuple[str, str]]:
    wordings = [("wording", "default"), ("wording", "manner")]
    return [("search", "heads"), *(("split", split) for split in splits), *wordings]


def _robustness(splits, shift, source, base) -> Rows:
    runs = [("unpatched", source, "source", 0.9), ("unpatched", base, "base", 0.16)]
    runs += [(*names, "patched", 0.7) for names in _head_sets(splits)]
    runs += [("wording", "default", "reverse", 0.2)]
    return [
        {"wording": wording, "chosen_on": kind, "set": name, "run": run}
        | {"source": source, "base": base, "split": split}
        | interval(level + shift, 48 if split == "all" else 4)
        | {"truth": level * 0.9}
        for wording in ("default", "manner")
        for kind, name, run, level in runs
        for split in ("all", *splits)
    ]


def _overlap(splits, shift) -> Rows:
    return [
        {"first_chosen_on": a[0], "first": a[1], "second_chosen_on": b[0], "second": b[1]}
        | {"jaccard": 1.0 if a == b else 0.4 + shift, "n": 10}
        for a, b in itertools.product(_head_sets(splits), repeat=2)
    ]


def _controls(splits, shift, source, base) -> Rows:
    runs = {"source": 0.9, "patched": 0.8, "base": 0.1, "rest_of_layers": 0.12}
    runs |= {"rest_of_window": 0.15, "mean_selection": 0.7, "mean_report": 0.71}
    runs |= {"reverse": 0.2, "reverse_rest": 0.8}
    lent = {"same_label": 0.9, "other_label": 0.3, "base_other_label": 0.2}
    return [
        {"split": split, "run": run, "source": source, "base": base, "measure": measure}
        | interval(level + shift, 96 if split == "all" else 8, "value")
        for split in ("all", *splits)
        for measure, levels in (("accuracy", runs | lent), ("follows_donor", lent))
        for run, level in levels.items()
    ]


def _curves(rng, n_all, shift) -> dict[str, Rows]:
    needed = {"estimate": 40, "verified": 20, "verified_absolute": 9, "single": 7}
    needed |= {"single_log_odds": 6, "left_out": 5, "greedy_accuracy": 5, "greedy_margin": 6}
    needed |= {"greedy_log_odds": 4, "greedy_truth": 6, "random": 200}
    sizes = sorted({size for size in (0, 1, 2, 3, 5, 8, 14, 45, 100, n_all) if size <= n_all})
    curves, areas, smallest = [], [], []
    for rule, half in needed.items():
        for draw, direction, size in itertools.product(
            range(3 if rule == "random" else 1), ("up", "down"), sizes
        ):
            kept = float(np.clip(size / half + rng.normal(0, 0.02), 0, 1)) if size < n_all else 1.0
            kept = kept if direction == "up" else 1 - kept
            row = {"rule": rule, "draw": draw, "direction": direction, "size": size}
            curves.append(
                {**row, "share": size / n_all, **interval(0.05 + 0.9 * kept + shift, 20)}
                | {"truth": 0.05 + 0.85 * kept, "kept": kept}
            )
        for direction, measure, against in itertools.product(
            ("up", "down"), ("area", "distance", "area_log"), (None, "single")
        ):
            if not (rule == against == "single"):
                row = {"rule": rule, "direction": direction, "measure": measure}
                value = interval(1 / (1 + half / 20) + shift, 20, "value")
                areas.append({**row, "against": against, **value})
        if rule != "random":
            row = {"rule": rule, "size": half, "share": half / n_all}
            smallest.append({**row, **interval(0.95 + shift, 20), "truth": 0.9})
    return {"curves/curves": curves, "curves/areas": areas, "curves/smallest": smallest}


def _run(
    split: str, run: str, source: str, base: str, draw: int, value: float, n: int
) -> dict[str, Any]:
    return (
        {"split": split, "run": run, "source": source, "base": base, "draw": draw}
        | interval(value, n)
        | {"truth": value * 0.9}
    )
