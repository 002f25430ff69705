"""Numbers that a text draws from several values. `derived.NAME` of numbers.yaml is a function here."""

import functools
from typing import Any

import polars as pl

from stages.benchmark.config import MORE, NAMES, NO_METHODS
from stages.benchmark.metrics import NEEDED
from tests.bench import report as bench
from tests.docs import sources
from tests.pipeline.closure import ROOT

PATCHES = ("window", "single_heads", "leave_one_out")
GRADIENTS = ("attribution", "integrated_gradients", "grad_drop")
"""Methods whose scores are in nats, with whatever positions and statements."""
EVERYWHERE = (
    "window",
    "single_heads",
    "attribution",
    "integrated_gradients",
    "grad_drop",
    "learned_mask",
)
"""Methods that patch, or take gradients, at all positions, and whose sets were patched."""


def n_known() -> int:
    """Known statements of both splits."""
    return sources.metric("behaviour.known.all.both.known")


def first_writer() -> int:
    """The lowest layer that writes the instruction to lie."""
    return min(_layers("writers"))


def last_writer() -> int:
    """The highest one."""
    return max(_layers("writers"))


def reader() -> int:
    """The layer that reads it."""
    (layer,) = _layers("readers")
    return layer


def _layers(role: str) -> list[int]:
    """Layers of cells, which are named by layer and place."""
    return [int(cell.split()[0]) for cell in sources.metric(f"trace.{role}")]


def n_set_found() -> int:
    """Heads in the set that was found, without whose weight change the model is honest."""
    return len(sources.metric("grafts.needed.heads"))


def _made_by(layer: int) -> dict[str, float]:
    """Fraction of the lie that the weight change of one layer alone makes, as in the figure."""
    recovered = sources.metric(f"grafts.layers.{layer}.alone.recovered")
    ends = zip(("value", "low", "high"), ("value", "high", "low"), strict=True)
    return {made: 1 - recovered[end] for made, end in ends}


made_by_20, made_by_21, made_by_22, made_by_23, made_by_24 = (
    functools.partial(_made_by, layer) for layer in range(20, 25)
)


def next_layer_at_last() -> int:
    """The layer that recovers second most, patched at the last positions."""
    return _at_last()[1]["layer"]


def next_at_last() -> dict[str, float]:
    """Fraction of the gap in log-odds that this layer recovers."""
    row = _at_last()[1]
    return {
        "value": row["recovered"],
        "low": row["recovered_low"],
        "high": row["recovered_high"],
    }


def _at_last() -> list[dict[str, Any]]:
    """Layers patched at the last positions, best first."""
    place = f"last {sources.metric('windows.positions')}"
    rows = sources.read("plots/trace/map.json")
    rows = [row for row in rows if row["run"] == "patched" and row["block"] == place]
    rows.sort(key=lambda row: -row["recovered"])
    best = sources.metric("trace.views.last")
    assert (rows[0]["layer"], rows[0]["recovered"]) == (best["layer"], best["recovered"]["value"])
    return rows


def _window(rank: int) -> float:
    """P(correct) of one of the windows with the reader, best first, on the selection split."""
    rows = [
        row
        for row in sources.read("plots/windows/windows.json")
        if (row["split"], row["run"]) == ("selection", "patched")
        and row["first_layer"] <= reader() <= row["last_layer"]
    ]
    accuracy = sources.metric("windows.runs.selection.patched.accuracy")
    assert {row["accuracy"] for row in rows} == {accuracy}
    return sorted((row["p_correct"] for row in rows), reverse=True)[rank]


second_window, third_window, fourth_window, fifth_window = (
    functools.partial(_window, rank) for rank in range(1, 5)
)


def n_as_good() -> int:
    """Random sets of the same layers that are at most 0.05 below the head set."""
    return _n_as_good("accuracy")


def n_as_good_by_p_correct() -> int:
    """The same by P(correct)."""
    return _n_as_good("p_correct")


def _n_as_good(measure: str) -> int:
    sets = sources.metric(f"transplant.random.{measure}")
    return round(sets["as_good"]["value"] * sets["n_sets"])


def n_methods() -> int:
    """Methods of the benchmark, each counted once."""
    return len(_methods()) - n_more()


def n_more() -> int:
    """Those of them that run on more statements too."""
    return sum(name.endswith(MORE) for name in _methods())


def n_controls() -> int:
    """Scores of the benchmark that are no methods."""
    return len(NO_METHODS)


def _methods() -> list[str]:
    """Names of methods, with more statements as names of their own."""
    return [name for name in NAMES if name not in NO_METHODS]


def least_cpr() -> float:
    """The lowest mean CPR of a method that sees all positions."""
    return min(_cprs())


def most_cpr() -> float:
    """The highest one."""
    return max(_cprs())


def _cprs() -> list[float]:
    """Mean CPR by method."""
    return [sources.metric(f"benchmark.cpr.{name}.value") for name in EVERYWHERE]


def n_changed_heads() -> int:
    """Heads whose weights the lying adapters change, all organisms with drawn heads together."""
    return sum(len(organism["lying"]) for organism in _organisms())


def n_spare_heads() -> int:
    """Those of them that the lie does not need alone."""
    return n_changed_heads() - sum(_needed())


def least_needed() -> int:
    """Heads that the lie needs alone, in the organism with the fewest."""
    return min(_needed())


def most_needed() -> int:
    """The same in the organism with the most."""
    return max(_needed())


def _needed() -> list[int]:
    """Number of heads that the lie needs alone, by organism."""
    return [one["methods"]["random"]["ranked_needed"]["n_true"] for one in _organisms()]


def best_auroc() -> float:
    """The highest AUROC for all changed heads of a method that scores heads one by one."""
    areas = sources.metric("benchmark.auroc")
    others = ("window", "window_last", "layers", "weight_change", "random")
    return max(area["value"] for name, area in areas.items() if name not in others)


def n_rivals() -> int:
    """Organisms with a second set of heads beside the first one."""
    return len(_rivals())


def least_rival() -> float:
    """Fraction of the gap that the worst of the second sets recovers."""
    return min(_rivals())


def _rivals() -> list[float]:
    """Fractions of the gap that second sets recover."""
    rivals = [one["rival"] for one in _organisms()]
    return [rival["rival_recovered"]["value"] for rival in rivals if rival is not None]


def least_stable() -> float:
    """The lowest overlap of the top heads by integrated gradients on resampled subjects."""
    every = [one["stability"]["integrated_gradients"] for one in _organisms()]
    return min(one["jaccard"]["value"] for one in every)


def largest_of_facts() -> float:
    """The largest score by a patch or a gradient in the organism that never lies, in nats."""
    return max(_largest(sources.metric("benchmark.organisms.facts")))


def largest_of_naive() -> float:
    """The same in the organism that answers wrongly under every persona."""
    return max(_largest(sources.metric("benchmark.organisms.naive")))


def least_largest() -> float:
    """The lowest of the largest scores in the organisms that lie, by organism and method."""
    return min(score for one in _organisms() for score in _largest(one))


def most_largest() -> float:
    """The highest of them."""
    return max(score for one in _organisms() for score in _largest(one))


def _largest(organism: dict[str, Any]) -> list[float]:
    """The largest score by each patch or gradient."""
    methods = organism["methods"].items()
    return [row["largest"] for name, row in methods if name.startswith(PATCHES + GRADIENTS)]


def _organisms() -> list[dict[str, Any]]:
    """Organisms whose lie is confined to drawn heads."""
    return [
        sources.metric(f"benchmark.organisms.{name}") for name in sources.metric("benchmark.exact")
    ]


def fewer_in_windows() -> float:
    """Operations of the prefix kept by hand, by those of this project: windows."""
    return _fewer("window")


def fewer_in_heads() -> float:
    """The same for single heads."""
    return _fewer("heads")


def _fewer(task: str) -> float:
    """Operations per patched run with the default wordings, of the one by those of the other."""
    theirs, ours = (bench._of(sources.runs("default"), x, task) for x in ("hf_prefix", "ours"))
    return theirs["gflop"] / ours["gflop"]


def head_runs() -> int:
    """Runs with one head patched, of all statements."""
    rows = sources.runs("long").filter(contender="ours", task="heads")
    return rows["units"][0]


def our_seconds() -> float:
    """Seconds that these runs take this project, with long prompts."""
    return _seconds(["ours"])


def their_seconds() -> float:
    """Seconds that they take the best of the other tools."""
    return _seconds(bench.PEERS)


def _seconds(names: list[str]) -> float:
    """Seconds of the fastest contender."""
    return head_runs() / max(bench._of(sources.runs("long"), x, "heads")["rate"] for x in names)


def seconds_by_attribution() -> float:
    """Seconds to rank all heads by attribution patching, and to patch the top tenth."""
    (seconds,) = sources.runs("long").filter(task="select").select(pl.median("seconds")).row(0)
    return seconds


def slower_with_shared_tokens() -> float:
    """Seconds of a patch with the most shared tokens, by those with the fewest."""
    rows = pl.read_json(sources.BENCH / "growth.json")
    rows = rows.filter(axis="shared tokens", job="patches").sort("shared tokens")
    return rows["seconds"][-1] / rows["seconds"][0]


def missed_in_middle_9() -> list[int]:
    """The head that the lie needs alone and that integrated gradients rank last."""
    return _missed("middle_9")


def missed_in_middle_15() -> list[int]:
    """The same in the other organism."""
    return _missed("middle_15")


def _missed(organism: str) -> list[int]:
    """The lowest score of a head that is needed alone, on more statements."""
    needed = {
        head
        for head, share in sources.metric(f"benchmark.organisms.{organism}.needed").items()
        if share["value"] > NEEDED and share["low"] > 0
    }
    scores = pl.read_parquet(ROOT / f"data/benchmark/{organism}/resampled.parquet")
    scores = (
        scores.filter(method="integrated_gradients")
        .group_by("layer", "head")
        .agg(pl.col("score").mean())
    )
    by_head = {f"{row['layer']}.{row['head']}": row["score"] for row in scores.to_dicts()}
    return [int(part) for part in min(needed, key=lambda head: by_head[head]).split(".")]
