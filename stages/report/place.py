"""Claims on where the lie is: where it is written, where it is read, and which weights it needs."""

from stages.grafts.metrics import NEEDED, GraftsMetrics
from stages.ground_truth.metrics import PlantedMetrics
from stages.lib.claim import Check, Claim, Note, above, below, number, so
from stages.report import words
from stages.report.results import Results
from stages.trace.metrics import MOST, CellEffect, PathEffect, TraceMetrics

TRACE, GRAFTS, TRUTH = "trace", "grafts", "ground_truth"
METHODS = {
    "single_heads": "single heads at the last positions",
    "attribution_patching": "attribution patching at the last positions",
    "attribution_everywhere": "attribution patching at all positions",
    "trace": "heads at the places that matter",
    "window": "the best window",
    "head_set": "the head set",
    "weight_change": "size of the change of weights",
}


def written_and_read(results: Results, source: str, base: str) -> Claim:
    """What is written early is read later."""
    trace = results.trace
    routes = early(trace)
    checks: list[Check] = []
    for cell, path in routes:
        where = at(cell)
        checks += [
            above(f"accuracy as `{base}` with z of {where} patched", cell.accuracy, 0.5, TRACE),
            above(
                f"share of the gain of {where} that passes through layer {_reader(path)}",
                path.through, MOST, TRACE,
            ),
        ]  # fmt: skip
    if not routes:
        checks = [
            so(
                "layers with a place that matters",
                "two or more",
                str(len({cell.layer for cell in trace.cells.values()})),
                None,
                TRACE,
            )
        ]
    return Claim(
        "Where is the instruction to lie written, and where is it read?",
        f"z of a layer at an early place of the prompt, patched from `{source}` into `{base}`, "
        "brings the right answer back, and most of that reaches the answer through a later layer.",
        checks,
        ("trace.png",),
        notes=[
            Note(
                "Before the statement no answer can be written: what is written there is that a "
                "lie is due.",
                TRACE,
            ),
            *map(_alone, trace.cells.values()),
            *_views(trace),
        ],
    )


def weights(results: Results, source: str, base: str) -> Claim | None:
    """The weights that the lie needs are those of the writers; None for other models."""
    grafts, truth = results.grafts, results.ground_truth
    if not isinstance(grafts, GraftsMetrics):
        return None
    writers = sorted({cell.layer for cell, _ in early(results.trace)})
    needed, part = grafts.needed_layers, grafts.needed
    checks = [
        so(
            f"layers whose training, undone alone, restores more than {NEEDED} of honesty",
            f"those that write by activation patching ({words.listed(writers)})",
            words.listed(needed),
            set(needed) == set(writers) if needed and writers else None,
            GRAFTS,
        ),
        above(
            f"accuracy as `{base}` without the change of weights of the {len(part.heads)} heads "
            "that the lie needs",
            part.set.without.accuracy if part.set else None,
            0.5,
            GRAFTS,
        ),
        below(
            f"accuracy as `{base}` without the change of weights of all other heads",
            part.rest.without.accuracy if part.rest else None,
            0.5,
            GRAFTS,
        ),
    ]
    notes = [
        Note(
            f"Honesty restored without the change of layer {layer}: "
            f"{number(unit.without.restored)}; accuracy {number(unit.without.accuracy)}.",
            GRAFTS,
        )
        for layer, unit in grafts.layers.items()
    ]
    if isinstance(truth, PlantedMetrics):
        notes += [
            Note(
                f"AUROC of {METHODS[name]}, for the heads that the lie needs: "
                f"{number(score.auroc)}.",
                TRUTH,
            )
            for name, score in truth.methods.items()
        ]
    return Claim(
        "Does patching find the layers whose training the lie needs?",
        "The layers without whose training the model is more honest are those that write by "
        "activation patching.",
        checks,
        ("grafts.png",),
        notes=notes,
    )


def early(trace: TraceMetrics) -> list[tuple[CellEffect, PathEffect]]:
    """Cells below the last layer of those that matter, with their path through that layer."""
    if not trace.cells:
        return []
    last = max(cell.layer for cell in trace.cells.values())
    return [
        (trace.cells[path.writer], path)
        for path in trace.paths.values()
        if path.reader == f"{last} all"
    ]


def sentence(trace: TraceMetrics) -> Note | None:
    """Name writers and readers with their places; None if no cell matters."""
    routes = early(trace)
    if not routes:
        return None
    said = "; ".join(
        f"{at(cell)} recovers {words.plain(cell.recovered.value, 2)} of the gap in log-odds, "
        f"{words.plain(path.through.value, 2)} of which passes through layer {_reader(path)}"
        for cell, path in routes
    )
    return Note(f"Patched alone, z of {said}.", TRACE)


def at(cell: CellEffect) -> str:
    """Name a cell, as in ``layer 21 at the user turn``."""
    return f"layer {cell.layer} at the {cell.block}"


def _reader(path: PathEffect) -> str:
    """Layer of a path's reader."""
    return path.reader.split(" ", 1)[0]


def _alone(cell: CellEffect) -> Note:
    """Effect of a cell alone, in both directions."""
    return Note(
        f"z of {at(cell)} recovers {number(cell.recovered)} of the gap in log-odds (accuracy "
        f"{number(cell.accuracy)}); the reverse patch takes {number(cell.reverse)} of it away.",
        TRACE,
    )


def _views(trace: TraceMetrics) -> list[Note]:
    """Which layer a choice of positions points at."""
    names = {"last": "the last positions, as the paper patches them", "all": "all positions"}
    return [
        Note(
            f"At {names[name]}, layer {view.layer} recovers most: {number(view.recovered)}.", TRACE
        )
        for name, view in trace.views.items()
        if view.layer is not None
    ]
