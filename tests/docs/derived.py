"""Numbers that a text draws from several values. `derived.NAME` of numbers.yaml is a function here."""

from typing import Any

import polars as pl

from stages.benchmark.metrics import NEEDED
from tests.bench import report as bench
from tests.docs import sources
from tests.pipeline.closure import ROOT

PATCHES = ("window", "single_heads", "leave_one_out")
GRADIENTS = ("attribution", "integrated_gradients", "grad_drop")
"""Methods whose scores are in nats, with whatever positions and statements."""


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


def n_smallest_set() -> int:
    """Heads in the smallest set without whose weight change the model is honest."""
    return len(sources.metric("grafts.needed.heads"))


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


def largest_of_none() -> float:
    """The largest score by a patch or a gradient in the organism that never lies, in nats."""
    return max(_largest(sources.metric("benchmark.organisms.none")))


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
