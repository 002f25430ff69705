"""Claims on where the lie is written, where it is read, and which weights it needs."""

from dataclasses import replace

from stages.grafts.metrics import NEEDED, GraftsMetrics
from stages.ground_truth.metrics import LyingMetrics
from stages.lib import names
from stages.lib.claim import (
    INCONCLUSIVE,
    UNTESTED,
    Check,
    Claim,
    Note,
    Table,
    above,
    below,
    number,
    so,
)
from stages.lib.patching.patch import Head
from stages.lib.stats import Interval
from stages.report import words
from stages.report.results import Results
from stages.trace.metrics import MOST, CellEffect, PathEffect, TraceMetrics

TRACE, GRAFTS, TRUTH = "trace", "grafts", "ground_truth"
METHODS = {
    "single_heads": "single heads at the last positions",
    "attribution_patching": "attribution patching at the last positions",
    "attribution_everywhere": "attribution patching at all positions",
    "trace": "single heads at the places that matter (stage `trace`)",
    "window": "the best window",
    "head_set": "the head set",
    "weight_change": "size of the weight change",
    "trained_layers": "the trained layers alone",
}
NO_METHOD = ("weight_change", "trained_layers")
"""Scores that are known only to those who trained the model."""
OPENS = {
    "user turn": "is the tokens of the chat template that open the user's turn, before question "
    "and statement",
    "system": "stands before question and statement",
}
"""What is said of blocks of the prompt before the statement."""
BEFORE = (*OPENS, "question")
"""Blocks that stand before the statement, in whole or in part."""


def written_and_read(results: Results, source: str, base: str) -> Claim:
    """The system prompt's effect is written at an early place, and read by a later layer."""
    trace = results.trace
    routes = early(trace)
    checks: list[Check] = []
    for cell, path in routes:
        where = at(cell)
        checks += [
            above(
                f"fraction of the gain of {where} that passes through layer {_layer_of(path)} at "
                "all positions",
                path.through, MOST, TRACE,
            ),
            above(
                f"accuracy as `{base}` with z of {where} alone patched", cell.accuracy, 0.5, TRACE
            ),
            so(
                f"place of {where}", "before the statement", f"the {names.block(cell.block)}",
                cell.block in BEFORE, TRACE,
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
        "Is the effect of the system prompt written early, and read by a later layer?",
        f"z of all heads of a layer, patched from `{source}` into `{base}` at one early place of "
        "the prompt alone, brings the right answers back, and most of this gain reaches the answer "
        "through a later layer.",
        checks,
        ("trace.png",),
        notes=[
            *_early_blocks(routes),
            *_before_the_statement(routes),
            *_at_one_position(trace),
            *_mediated(trace, routes),
            *_best_layers(trace),
        ],
        tables=[_cells(trace)],
    )


def weights(results: Results, source: str, base: str) -> Claim | None:
    """The weights that the lie needs are those of the writers; None for other models."""
    grafts, truth = results.grafts, results.ground_truth
    if not isinstance(grafts, GraftsMetrics):
        return None
    writers = sorted({cell.layer for cell, _ in early(results.trace)})
    part = grafts.needed
    last = max((cell.layer for cell in results.trace.cells.values()), default=None)
    reader = "the last layer that matters" if last is None else f"layer {last}, the reader,"
    checks = [
        _needed_by_weights(
            f"the layers below {reader} whose patch at one place recovers more than "
            f"{results.trace.least:g} of the gap in log-odds ({words.listed(writers)})",
            set(writers),
            results.trace,
            grafts,
        ),
        above(
            f"accuracy as `{base}` with the weight change undone in the set found "
            f"({words.plural(len(part.heads), 'head')})",
            part.set.without.accuracy if part.set else None,
            0.5,
            GRAFTS,
        ),
        below(
            f"accuracy as `{base}` with the weight change undone in every other head",
            part.rest.without.accuracy if part.rest else None,
            0.5,
            GRAFTS,
        ),
    ]
    layers = Table(
        "Fraction of the lie undone with the weight change of one layer undone, and accuracy as "
        f"`{base}`",
        ("layer", "lie undone", "accuracy"),
        [
            (layer, number(unit.without.recovered), number(unit.without.accuracy))
            for layer, unit in grafts.layers.items()
        ],
        GRAFTS,
    )
    return Claim(
        "Does patching find the layers whose training the lie needs?",
        f"Below {reader} the layers whose patch at one place recovers more than "
        f"{results.trace.least:g} of the gap are the layers that the lie needs by weights: undoing "
        f"the weight change of one of them undoes more than {NEEDED} of the lie.",
        checks,
        ("grafts.png",),
        notes=[*_layer_of_last_positions(results.trace, grafts), *_smallest_set(grafts, base)],
        tables=[layers, *([_auroc_table(truth)] if isinstance(truth, LyingMetrics) else [])],
    )


def _needed_by_weights(
    expected: str, writers: set[int], trace: TraceMetrics, grafts: GraftsMetrics
) -> Check:
    """Check that the layers that the lie needs are the writers, as far as intervals can tell."""
    undone = {int(layer): unit.without.recovered for layer, unit in grafts.layers.items()}
    needed = set(grafts.needed_layers)
    undecided = {
        layer
        for layer, row in undone.items()
        if layer not in needed and (row.high is None or row.high > NEEDED)
    }
    is_measured = bool(undone) and any(view.layer is not None for view in trace.views.values())
    measured = words.listed(sorted(needed))
    if undecided:
        measured += f"; undecided: {words.listed(sorted(undecided))}"
    check = so(
        f"layers whose weight change, undone alone, undoes more than {NEEDED} of the lie",
        expected,
        measured,
        needed == writers if is_measured and (needed or writers) else None,
        GRAFTS,
    )
    is_possible = needed <= writers <= needed | undecided
    if check.verdict != UNTESTED and undecided and is_possible:
        check = replace(check, verdict=INCONCLUSIVE)
    return check


def early(trace: TraceMetrics) -> list[tuple[CellEffect, PathEffect]]:
    """Return the cells below the last layer that matters, each with its path through that layer."""
    if not trace.cells:
        return []
    last = max(cell.layer for cell in trace.cells.values())
    return [
        (trace.cells[path.writer], path)
        for path in trace.paths.values()
        if path.reader == f"{last} all"
    ]


def sentences(trace: TraceMetrics) -> list[Note]:
    """Say who writes and who reads, then name each writer with its place and its reader."""
    routes = early(trace)
    return _writers(routes) + [
        Note(
            f"Patching attention-head outputs (z) of {at(cell)} alone recovers "
            f"{words.ends(cell.recovered)} of the gap in log-odds; {words.ends(path.through)} of "
            f"this gain passes through layer {_layer_of(path)} (n = {cell.recovered.n}).",
            TRACE,
        )
        for cell, path in routes
    ]


def _writers(routes: list[tuple[CellEffect, PathEffect]]) -> list[Note]:
    """Name writers, place and reader, but the place alone where a gain may bypass the reader."""
    blocks, definitions = {cell.block for cell, _ in routes}, _early_blocks(routes)
    if len(blocks) != 1 or not all((path.through.low or 0) > MOST for _, path in routes):
        return definitions
    (block,), reader = blocks, _layer_of(routes[0][1])
    layers = sorted({cell.layer for cell, _ in routes})
    write = "Layers {} write" if len(layers) > 1 else "Layer {} writes"
    finding = (
        f"{write.format(words.listed(layers))} the effect of the system prompt at the "
        f"{names.block(block)}; layer {reader} reads it."
    )
    return [Note(" ".join([finding, *(note.says for note in definitions)]), TRACE)]


def at(cell: CellEffect) -> str:
    """Name a cell, as in ``layer 21 at the user-turn header``."""
    return f"layer {cell.layer} at the {names.block(cell.block)}"


def _layer_of(path: PathEffect) -> str:
    """Return the layer of a path's reader."""
    return path.reader.split(" ", 1)[0]


def _cells(trace: TraceMetrics) -> Table:
    """Tabulate the effect of patching each cell, in both directions."""
    rows: list[tuple[str, ...]] = [
        (at(cell), number(cell.recovered), number(cell.accuracy), number(cell.reverse))
        for cell in trace.cells.values()
    ]
    title = (
        "z of all heads of one layer patched at one place: fraction of the gap in log-odds "
        "recovered, accuracy, and fraction of the gap that the reverse patch removes"
    )
    return Table(title, ("place", "recovered", "accuracy", "reverse"), rows, TRACE)


def _best_layers(trace: TraceMetrics) -> list[Note]:
    """Write which layer recovers most, by the positions patched."""
    names = {"last": "the last positions, as in the paper", "all": "all positions"}
    return [
        Note(
            f"Patched at {names[name]}, layer {view.layer} recovers the most: "
            f"{words.told(view.recovered)} of the gap in log-odds. The layer was chosen on these "
            "statements, so the fraction is optimistic.",
            TRACE,
        )
        for name, view in trace.views.items()
        if view.layer is not None
    ]


def _early_blocks(routes: list[tuple[CellEffect, PathEffect]]) -> list[Note]:
    """Describe the block of each early place."""
    blocks = dict.fromkeys(cell.block for cell, _ in routes if cell.block in OPENS)
    return [Note(f"The {names.block(block)} {OPENS[block]}.", TRACE) for block in blocks]


def _before_the_statement(routes: list[tuple[CellEffect, PathEffect]]) -> list[Note]:
    """Say what z before the statement can hold; nothing if a place is not before the statement."""
    if not routes or any(cell.block not in OPENS for cell, _ in routes):
        return []
    return [
        Note(
            "The statement comes after these places, so z there holds no answer to the statement. "
            "z there differs between the personas. Whether the difference is about lying, rather "
            "than about another difference of their prompts, was not tested.",
            TRACE,
        )
    ]


def _at_one_position(trace: TraceMetrics) -> list[Note]:
    """Write the gain that passes to a reader at one place alone."""
    return [
        Note(
            f"Of the gain of {at(trace.cells[path.writer])}, {words.told(path.through)} passes "
            f"through {at(trace.cells[path.reader])} alone.",
            TRACE,
        )
        for path in trace.paths.values()
        if path.reader in trace.readers and path.reader in trace.cells
    ]


def _mediated(trace: TraceMetrics, routes: list[tuple[CellEffect, PathEffect]]) -> list[Note]:
    """Write the gain that is left of one early cell with the layer of a later one held."""
    later_layers = {f"{cell.layer} all" for cell, _ in routes}
    return [
        Note(
            f"With z of layer {_layer_of(path)} held at its unpatched values at all positions, "
            f"{words.told(path.around)} of the gain of {at(trace.cells[path.writer])} is left. "
            "What passes through a place and what is left without it need not add up to 1.",
            TRACE,
        )
        for path in trace.paths.values()
        if path.reader in later_layers
    ]


def _layer_of_last_positions(trace: TraceMetrics, grafts: GraftsMetrics) -> list[Note]:
    """Say where the last positions point, and whether the lie needs the training of that layer."""
    view = trace.views.get("last")
    unit = grafts.layers.get(str(view.layer)) if view else None
    if view is None or unit is None or view.layer in grafts.needed_layers:
        return []
    return [
        Note(
            f"Layer {view.layer} recovers the most of all layers at the last positions, as in the "
            f"paper, but is not needed by weights. Its patch there recovers "
            f"{words.told(view.recovered)} of the gap, on the statements that chose the layer; "
            f"undoing its weight change undoes {words.told(unit.without.recovered)} of the lie.",
            GRAFTS,
        )
    ]


def _smallest_set(grafts: GraftsMetrics, base: str) -> list[Note]:
    """Describe the smallest set, and the effects of its weight change and of all other heads'."""
    part = grafts.needed
    if part.set is None or part.rest is None:
        return []
    return [
        Note(
            "A greedy search looks for few heads whose undone weight change makes the answers "
            f"right. The search found a set of {len(part.heads)} of the "
            f"{words.plural(part.n_changed, 'changed head')}: "
            f"{words.heads(Head(*head) for head in part.heads)}. A smaller set may exist.",
            GRAFTS,
        ),
        Note(
            "With the weight change undone in this set, accuracy is "
            f"{words.ends(part.set.without.accuracy)}, and "
            f"{words.told(part.set.without.recovered)} of the lie is undone in log-odds: an answer "
            "can be right by less than the honest run's log-odds. With the weight change "
            "undone in every other head, accuracy is "
            f"{words.ends(part.rest.without.accuracy)}, and "
            f"{words.told(part.rest.without.recovered)} is undone.",
            GRAFTS,
        ),
        Note(
            "The set found is not the whole lie. The weight change of this set alone makes "
            f"{words.told(_share_of_lie(part.set.alone.recovered))} of the lie (accuracy as "
            f"`{base}` {words.ends(part.set.alone.accuracy)}). The weight change of all other "
            f"heads alone makes {words.told(_share_of_lie(part.rest.alone.recovered))} of the lie "
            f"(accuracy {words.ends(part.rest.alone.accuracy)}).",
            GRAFTS,
        ),
        Note(
            "The weight change of a head is that of its rows of the query projection and of its "
            "columns of the output projection. Groups of heads may share keys and values, so the "
            "change of these belongs to neither set: it stays in the model where a set is undone, "
            "and is absent where a set is left alone.",
            GRAFTS,
        ),
    ]


def _share_of_lie(recovered: Interval) -> Interval:
    """Turn the fraction of the lie that is undone into the fraction that is made."""
    if recovered.value is None or recovered.low is None or recovered.high is None:
        return recovered
    return Interval(1 - recovered.value, 1 - recovered.high, 1 - recovered.low, recovered.n)


def _auroc_table(truth: LyingMetrics) -> Table:
    """Tabulate how well each method finds the heads of the set found."""
    rows: list[tuple[str, ...]] = []
    for name, score in truth.methods.items():
        remark = " (known only to those who trained the model)" if name in NO_METHOD else ""
        rows.append((f"{METHODS[name]}{remark}", words.ends(score.auroc)))
    n_true, n = next(((score.n_true, score.auroc.n) for score in truth.methods.values()), (0, 0))
    return Table(
        f"AUROC for the {words.plural(n_true, 'head')} of the set found, among {n} heads",
        ("scores of heads", "AUROC"),
        rows,
        TRUTH,
    )
