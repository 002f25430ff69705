"""Made-up plot tables of any size, with every column that the stages write."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from stages.lib import tables

Rows = list[dict[str, Any]]
PERSONAS = ("neutral", "honest", "liar")
PLAIN = ("capitals", "cities", "continents", "elements", "currencies", "comparisons")
SPLITS = tuple(itertools.chain(*((name, f"neg_{name}") for name in PLAIN)))
LEVEL = {"neutral": 0.78, "honest": 0.84, "liar": 0.24}  # true answers per persona
METHODS = ("logistic", "mass_mean", "ttpd")
RUNS = {"source": 0.9, "patched": 0.74, "base": 0.16, "reverse": 0.3}


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
        "heads/heads": _heads(rng, window, heads, shift),
        "heads/sets": _sets(window, heads, shift),
        "transplant/transplant": _transplant(rng, splits, shift, source, base),
        "localisation/layers": _planted(window, layers),
        "transfer/layers": _method_layers(rng, personas, layers),
        "transfer/personas": _method_personas(rng, personas, layers),
        "transfer/splits": _method_splits(rng, personas, splits, layers, shift),
        "transfer/polarity": _polarity(rng, personas, layers),
        "transfer/cosine": _method_cosine(personas, layers),
        "transfer/cosine_splits": _cosine_splits(rng, personas, splits, layers),
        "transfer/cosine_layers": _cosine_layers(personas, layers),
    }
    if not known:
        empty = {"heads/heads": [], "heads/sets": []}
        made = {name: _unmeasured(name, rows) for name, rows in made.items()} | empty
    for name, rows in made.items():
        tables.write_rows(folder / f"{name}.json", rows)
    return folder


def interval(value: float, n: int, name: str = "accuracy") -> dict[str, Any]:
    """The columns of one rate; nulls where n is 0."""
    if n == 0:
        return {name: None, "low": None, "high": None, "n": 0}
    value = min(max(value, 0.0), 1.0)
    half = 1.96 * float(np.sqrt(max(value * (1 - value), 0.02) / n))
    return {name: value, "low": max(0.0, value - half), "high": min(1.0, value + half), "n": n}


def _unmeasured(name: str, rows: Rows) -> Rows:
    """The same rows with nothing measured, but for what is answered."""
    measured = {"accuracy", "low", "high", "truth", "cosine", "effect"}
    if name.startswith("behaviour/"):
        return rows
    return [
        {key: None if key in measured else 0 if key == "n" else value for key, value in row.items()}
        for row in rows
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
        | {"accuracy": float(0.5 + sign * abs(rng.normal(0, 0.3)) * layer / layers / 2), "n": 240}
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


def _run(
    split: str, run: str, source: str, base: str, draw: int, value: float, n: int
) -> dict[str, Any]:
    return (
        {"split": split, "run": run, "source": source, "base": base, "draw": draw}
        | interval(value, n)
        | {"truth": value * 0.9}
    )
