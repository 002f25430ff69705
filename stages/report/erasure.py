"""The claim on erasing the truth direction from z."""

from dataclasses import replace

from stages.erasure.metrics import Difference, ErasureMetrics, Numbers
from stages.lib import stats
from stages.lib.claim import (
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    UNTESTED,
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
        of_name = f"layers {name}" if runs else "no window"
        leace = runs["leace"] if runs else None
        erased_scores = leace if isinstance(leace, Numbers) else None
        checks += [
            between(
                f"accuracy as `{persona}` with truth erased from z of {of_name}",
                erased_scores.accuracy if erased_scores else None,
                (0.5 - HALF, 0.5 + HALF),
                ERASURE,
            ),
            *_beyond_controls(persona, runs, scores.as_far.get(name, {}), erasure),
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
        f"Each control has {words.plural(erasure.draws, 'draw')} (`erasure.draws`). If no draw "
        "moves P(correct) as far as LEACE does, p is 1 / (1 + draws): with fewer than "
        f"{_fewest_draws()} draws it could not be below {LARGEST_P}.",
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


def _beyond_controls(
    persona: str, runs: Runs | None, as_far: dict[str, int], erasure: ErasureMetrics
) -> list[Check]:
    """Check that erasing the truth does more than its controls do, and than each draw of them."""
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
        checks.append(_beyond_each_draw(check, as_far.get(control, 0), erasure.draws))
    return checks


def _beyond_each_draw(check: Check, as_far: int, draws: int) -> Check:
    """Let a check pass only if no draw does as much, of enough draws."""
    if check.verdict == UNTESTED:
        return check
    measured = (
        f"{check.measured}; {as_far} of {words.plural(draws, 'draw')} of the control move "
        "P(correct) as far"
    )
    verdict = check.verdict
    if verdict == SUPPORTED and draws < _fewest_draws():
        measured, verdict = f"{measured}, where {_fewest_draws()} are needed", INCONCLUSIVE
    elif verdict == SUPPORTED and as_far:
        refuted = stats.proportion(as_far, draws).is_above(LARGEST_P)
        verdict = NOT_SUPPORTED if refuted else INCONCLUSIVE
    expected = f"{check.expected}; no draw of the control as far"
    return replace(check, expected=expected, measured=measured, verdict=verdict)


def _fewest_draws() -> int:
    """Return the fewest draws of a control whose p-value can be as low as LARGEST_P."""
    return round(1 / LARGEST_P) - 1


def _nearest_window(windows: dict[str, Runs], best: Window | None) -> tuple[str, Runs | None]:
    """Return the erased window nearest to the best window: its controls have all their draws.

    Named by its layers, as in the metrics.
    """
    measured_windows = {
        _layers(name): name for name, runs in windows.items() if runs["leace - none"].p_correct.n
    }
    if not measured_windows or best is None:
        return "", None
    nearest = best_window.nearest(measured_windows, best.layers)
    name = measured_windows[nearest]
    return name, windows[name]


def _layers(name: str) -> range:
    """Return the layers of a window by its name."""
    first, last = map(int, name.split("-"))
    return range(first, last + 1)
