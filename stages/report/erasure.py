"""The claim on erasing the truth direction from z."""

from dataclasses import replace

from stages.erasure.metrics import Difference, ErasureMetrics, Numbers
from stages.lib.claim import (
    INCONCLUSIVE,
    SUPPORTED,
    Check,
    Claim,
    Note,
    Table,
    above,
    below,
    between,
    number,
)
from stages.lib.patching import best_window
from stages.lib.patching.layer_window import Window
from stages.lib.stats import LARGEST_P
from stages.report import words
from stages.report.reading import HALF
from stages.report.results import Results

ERASURE = "erasure"
Runs = dict[str, Numbers | Difference]


def erasing(results: Results, source: str, base: str) -> Claim:
    """With the truth direction erased from z, both runs answer at chance."""
    erasure, best = results.erasure, results.windows.best
    checks: list[Check] = []
    rows: list[tuple[str, ...]] = []
    for persona in (source, base):
        scores = erasure.personas[persona]
        name, runs = _nearest_window(scores.windows, best)
        leace = runs["leace"] if runs else None
        erased_scores = leace if isinstance(leace, Numbers) else None
        checks += [
            between(
                f"accuracy as `{persona}` with truth erased from z of {name}",
                erased_scores.accuracy if erased_scores else None,
                (0.5 - HALF, 0.5 + HALF),
                ERASURE,
            ),
            *_beyond_controls(persona, runs, erasure),
        ]
        fresh_probes = erasure.probes.get(persona, {}).get("fresh", {})
        rows.append(
            (
                f"`{persona}`",
                number(scores.none.accuracy),
                number(erased_scores.accuracy if erased_scores else None),
                *words.by_label(erased_scores.by_label if erased_scores else None),
                number(fresh_probes.get("unerased")),
                number(fresh_probes.get("erased")),
            )
        )
    draws = Note(
        f"Each control has {words.plural(erasure.draws, 'draw')} (`erasure.draws`). With fewer "
        f"than {_fewest_draws()} no p-value could be below {LARGEST_P}.",
        ERASURE,
    )
    table = Table(
        "Accuracy of the answers with z as it is and with the truth erased, and mean accuracy over "
        "layers of probes that are fitted anew on z as it is and on erased z. The eraser is fitted "
        "on other statements and may leave some of the truth",
        (
            "run",
            "z as it is",
            "truth erased",
            "erased, true statements",
            "erased, false statements",
            "probe of z",
            "probe of erased z",
        ),
        rows,
        ERASURE,
    )
    return Claim(
        "Does erasing the truth direction from z remove both behaviours?",
        "With the truth direction erased from z of a few layers (LEACE), both runs answer at "
        "chance, and erasing another direction does less.",
        checks,
        ("erasure.png",),
        notes=[draws],
        tables=[table],
    )


def _beyond_controls(persona: str, runs: Runs | None, erasure: ErasureMetrics) -> list[Check]:
    """Check that erasing the truth does more than its controls do; too few draws decide nothing."""
    checks = []
    for control, target in (
        ("permuted", "the direction of permuted labels"),
        ("random", "a random direction"),
    ):
        beyond_control, total = (
            runs.get(f"leace - {name}") if runs else None for name in (control, "none")
        )
        difference = beyond_control.p_correct if isinstance(beyond_control, Difference) else None
        effect = total.p_correct.value if isinstance(total, Difference) else None
        check = (above if (effect or 0) > 0 else below)(
            f"P(correct) as `{persona}` with truth erased minus P(correct) with {target} erased",
            difference,
            0.0,
            ERASURE,
        )
        if check.verdict == SUPPORTED and erasure.draws < _fewest_draws():
            measured = (
                f"{check.measured}; {words.plural(erasure.draws, 'draw')} of the control, where "
                f"{_fewest_draws()} are needed"
            )
            check = replace(check, measured=measured, verdict=INCONCLUSIVE)
        checks.append(check)
    return checks


def _fewest_draws() -> int:
    """Return the fewest draws of a control whose p-value can be as low as LARGEST_P."""
    return round(1 / LARGEST_P) - 1


def _nearest_window(windows: dict[str, Runs], best: Window | None) -> tuple[str, Runs | None]:
    """Return the erased window nearest to the best window: its controls have all their draws."""
    measured_windows = {
        _layers(name): name for name, runs in windows.items() if runs["leace - none"].p_correct.n
    }
    if not measured_windows or best is None:
        return "no window", None
    nearest = best_window.nearest(measured_windows, best.layers)
    name = measured_windows[nearest]
    return f"layers {name}", windows[name]


def _layers(name: str) -> range:
    """Return the layers of a window by its name."""
    first, last = map(int, name.split("-"))
    return range(first, last + 1)
