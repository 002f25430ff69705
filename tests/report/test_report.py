"""The report: verdicts follow from checks, and a control that contradicts a claim decides it."""

import copy
import itertools
import json
import re
from dataclasses import is_dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy import stats as distributions

from stages.grafts.metrics import NEEDED
from stages.lib import stats
from stages.lib.claim import (
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    UNTESTED,
    Claim,
    Note,
    corrected,
    number,
    so,
)
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.patch import Head
from stages.lib.stats import NOTHING, Interval, ranking, ratios
from stages.report import __main__ as stage
from stages.report import (
    behaviour,
    directions,
    erasure,
    estimates,
    head_set,
    page,
    patching,
    place,
    reading,
    results,
    scope,
    texts,
    trained_layers,
    wordings,
    words,
)
from stages.report.page import Page
from stages.report.results import Results
from stages.wordings.config import GridConfig
from tests.intervals import ends, there
from tests.pipeline.closure import ROOT

PAIR = ("honest", "liar")
READER = TypeAdapter(Results)


def rate(value, half=0.05, n=100):
    return {"value": value, "low": value - half, "high": value + half, "n": n}


def run(value, half=0.05, n=100):
    ends = {"low": value - half, "high": value + half}
    return {"accuracy": value, **ends, "n": n, "p_correct": value} | {
        f"p_correct_{end}": number for end, number in ends.items()
    }


def gap(value, half=0.05):
    """A difference of two runs."""
    return {"accuracy": rate(value, half), "p_correct": rate(value, half)}


def control(n_as_good, n_sets=100, mean=0.1):
    """The head set among random ones, so many of which do as well."""
    as_good = rate(n_as_good / n_sets, 0.0, n_sets)
    row = {"n_sets": n_sets, "own": 0.9, "mean": mean, "median": mean, "max": 0.9, "p05": 0.0}
    row |= {"p95": 0.2, "as_good": as_good, "lead": rate(0.9 - mean)}
    row |= {"p_value": (1 + n_as_good) / (1 + n_sets), "p_least": 1 / (1 + n_sets)}
    both = {"by_label": {"true": rate(mean), "false": rate(mean)}, "one_answer": 0}
    shared = {"2": {"n_sets": n_sets, "accuracy": mean, "p_correct": mean}}
    return {"accuracy": dict(row), "p_correct": dict(row), "shared": shared} | both


def cell_of(layer, block):
    """A cell that restores the truth."""
    measured = dict.fromkeys(("effect", "recovered", "accuracy", "reverse"), rate(0.9))
    return {"layer": layer, "block": block} | measured


def part(value):
    """A part of an organism's change of weights, and the accuracy without it."""
    return {"without": {"accuracy": rate(value), "recovered": rate(value)}}


def answers(right):
    names = ("accuracy", "recall_true", "recall_false")
    return {name: rate(right) for name in names} | {"answer_mass": rate(0.9)}


def layer(value):
    return {"value": value, "low": value, "high": value}


def erased():
    """What stage `erasure` finds of one persona in one window."""
    change = {"p_correct": rate(-0.4)}
    both = {"true": rate(0.5), "false": rate(0.5)}
    runs = {"leace": {"accuracy": rate(0.5), "by_label": both}, "leace - none": change}
    runs |= {"leace - permuted": change, "leace - random": change}
    as_far = {"3-4": {"permuted": 0, "random": 0}}
    return {"none": {"accuracy": rate(0.9)}, "windows": {"3-4": runs}, "as_far": as_far}


def wider():
    """Metrics of the stages beyond the first ones."""
    method = {"layer": 7, "accuracy": rate(0.9), "transfer": {"liar": rate(0.9)}}
    method["permuted"] = {"mean": 0.5, "max": 0.6, "draws": 100, "p": 1 / 101}
    crossed = {"value": 5, "low": 5, "high": 5, "never": 0.0, "always_below": False}
    nowhere = {"value": None, "low": None, "high": None}
    diverged = {"layers": 9, "divergence_layer": layer(3), "turning_layer": crossed}
    together = diverged | {"divergence_layer": nowhere}
    cell = rate(0.8) | {"rank": 1, "behind": rate(0.0)}
    best = {"first_layer": 3, "last_layer": 4, "report": {"all": run(0.9)}}
    confident = {"accuracy": {"0.9": rate(0.9)}, "confidence": rate(0.9)}
    least = {"n_heads": 2, "share": 0.1, **run(0.9)}
    general = {"off_diagonal": rate(0.9), "difference": rate(0.0, 0.02), "n_sets": 3}
    overlap = {"mean": 0.5, "n_pairs": 3, "min": 0.2, "max": 0.9}
    return {
        "grid": {"lying": {"liar": {"short": {"plain": cell}}}},
        "confidence": {
            "runs": {
                "source": confident,
                "patched": confident,
                "base": confident | {"accuracy": {"0.9": rate(0.1)}},
            }
        },
        "transfer": {
            "statements": "known",
            "n": {"report": {"subjects": 53}},
            "bag_of_tokens": {"all": rate(0.5)},
            "methods": {"logistic": {"honest": method}},
            "divergence": {
                "mass_mean": {"honest": {"liar": diverged}, "neutral": {"honest": together}}
            },
        },
        "logit_attribution": {"lens": {"divergence": {"half": layer(4)}}},
        "widths": {
            "patched": {"2": {"best": best, "difference": {"best - control": gap(0.8)}}},
        },
        "positions": {
            "counts": {"window": {"1": run(0.9), "10": run(0.9)}},
            "unpatched": {"counts": {"base": run(0.1)}},
            "blocks": {"prefix": {"alone": run(0.9) | {"positions": 3.0}}},
        },
        "set_sizes": {
            "rules": {
                "single": {"smallest": least},
                "estimate": {
                    "up": {"difference": {"auc_log": rate(-0.01, 0.02)}},
                    "by_label": {"3": {"true": rate(1.0), "false": rate(0.0)}},
                    "smallest": {},
                },
            }
        },
        "robustness": {
            "generalisation": {"topic": general, "wording": general},
            "overlap": {"topic": overlap, "wording": overlap},
            "sets": {
                kind: {name: {"scored": {"default": run(0.9)}} for name in ("a", "b")}
                for kind in ("topic", "wording")
            }
            | {"search": {"heads": {"scored": {"default": {"recovered": rate(0.9)}}}}},
            "n_candidates": 10,
            "overlap_by_chance": 0.1,
        },
        "controls": {
            "reverse - rest": gap(-0.8),
            "patched - control": {
                "mean_ablation_selection": gap(0.0, 0.02),
                "same_label": gap(0.0, 0.02),
                "other_label": gap(0.0, 0.02),
                "rest_of_window": gap(0.8),
                "rest_of_layers": gap(0.8),
            },
            "n_heads": {"rest_of_layers": 7},
            "by_label": {"other_label": {"true": rate(0.8), "false": rate(0.2)}},
            "runs": {
                name: run(0.9) for name in ("mean_ablation_selection", "same_label", "other_label")
            },
        },
        "erasure": {
            "draws": 19,
            "personas": {"honest": erased(), "liar": erased()},
            "probes": {
                name: {"fresh": {"erased": rate(0.6), "unerased": rate(0.9)}}
                for name in ("honest", "liar")
            },
        },
    }


def result():
    """Metrics of a model that lies, in which everything is as claimed."""
    probe = {"layer": 7, "accuracy": rate(0.9), "permuted": rate(0.5)}
    runs = {"source": 0.9, "patched": 0.9, "base": 0.1, "reverse": 0.1}
    return wider() | {
        "behaviour": {
            "known_report": {"honest": answers(0.9), "liar": answers(0.1)},
            "known": {"all": {"both": {"known": 90, "n": 100}}},
            "personas": {"honest": {"all": answers(0.8)}, "liar": {"all": answers(0.2)}},
        },
        "probes": {
            "best": {"resid_post": {"honest": {"honest": probe, "liar": probe}}},
            "n": {"report": {"true": 50, "false": 50}},
            "by_layer": {"honest": {name: {"5": rate(0.9)} for name in PAIR}},
        },
        "windows": {
            "best": {"first_layer": 3, "last_layer": 4},
            "runs": {"report": {name: run(runs[name]) for name in ("source", "patched", "base")}},
        },
        "heads": {"n_heads": 3, "share_of_all_heads": 0.1},
        "transplant": {
            "by_topic": {"all": {name: run(value) for name, value in runs.items()}},
            "effect": {"patched - base": gap(0.8), "reverse - source": gap(-0.8)},
            "random": control(0),
            "elsewhere": control(0),
        },
        "trace": {
            "cells": {"3 user turn": cell_of(3, "user turn"), "4 last token": cell_of(4, "end")},
            "paths": {
                "3 user turn > 4 all": {
                    "writer": "3 user turn",
                    "reader": "4 all",
                    "through": rate(0.8),
                    "around": rate(0.1),
                }
            },
            "views": {"last": {"layer": 4, "recovered": rate(0.8)}},
        },
        "grafts": {
            "needed_layers": [3],
            "layers": {"3": part(0.9), "4": part(0.1)},
            "needed": {"heads": [[3, 0], [3, 1]], "set": part(0.9), "rest": part(0.1)},
        },
        "ground_truth": {
            "trained_layers": {"first_layer": 3, "last_layer": 4},
            "divergence_layer": 3,
            "window": {"overlap": 1.0, "by_chance": 0.2},
            "heads": {
                "share": rate(0.9),
                "share_by_chance": 0.2,
                "auroc": rate(0.9),
                "others": {"n_blocks": 90, "mean": 0.5, "max": 0.6},
                "n_trained": 10,
                "n_heads": 300,
            },
            "set": {"n_heads": 6, "n_trained": 6, "by_chance": 0.2},
        },
        "attribution_patching": {
            "rank_correlation": rate(0.9),
            "top": rate(0.9) | {"by_chance": 0.1, "n_heads": 2},
        },
    }


def keys(schema):
    """Keys that a dataclass has in JSON, and their types."""
    hints = get_type_hints(schema, include_extras=True)
    return {
        hint.__metadata__[0].alias if get_origin(hint) is Annotated else name: hint
        for name, hint in hints.items()
    }


def whole(schema, given):
    """Fill in what the claims do not read: None, zeros and empty texts."""
    if get_origin(schema) is Annotated:
        schema = schema.__origin__
    if get_origin(schema) is dict:
        return {key: whole(get_args(schema)[1], value) for key, value in (given or {}).items()}
    kinds = get_args(schema) if get_origin(schema) is UnionType else (schema,)
    if given is None and (NoneType in kinds or not is_dataclass(kinds[0])):
        return None if NoneType in kinds else kinds[0]()
    given = {} if given is None else given
    made = [keys(kind) for kind in kinds if is_dataclass(kind)]
    fitting = [of for of in made if set(given) <= set(of)]
    if not fitting:
        return given
    return {key: whole(hint, given.get(key)) for key, hint in min(fitting, key=len).items()}


def read(metrics):
    """Metrics as the stage reads them from its folder."""
    return READER.validate_python(whole(Results, metrics))


def claims(result):
    """Every claim by name."""
    metrics = read(result)
    made = {
        make.__name__: make(metrics, *PAIR)
        for make in (
            behaviour.lying,
            behaviour.sure,
            reading.before,
            reading.after,
            directions.opposite,
            erasure.erasing,
            scope.honesty,
            scope.last_position,
            patching.window,
            head_set.few_heads,
            head_set.these_heads,
            head_set.reverse,
        )
    }
    made |= {
        "diverging": directions.diverging(metrics, *PAIR, "neutral"),
        "topics": scope.topics(metrics),
        "wordings": scope.wordings(metrics),
        "ranking": estimates.ranking(metrics),
        "estimated_sets": estimates.estimated_sets(metrics),
        "trained_layers": trained_layers.claim(metrics, *PAIR),
        "written": place.written_and_read(metrics, *PAIR),
        "weights": place.weights(metrics, *PAIR),
    }
    return dict(zip(made, corrected([claim for claim in made.values() if claim]), strict=True))


def put(metrics, where, value):
    """A copy with one value changed."""
    metrics = copy.deepcopy(metrics)
    *path, last = where.split("/")
    inner = metrics
    for key in path:
        inner = inner[key]
    inner[last] = value
    return metrics


def test_where_everything_is_so_every_claim_is_supported():
    made = claims(result())
    assert behaviour.lies(made["lying"])
    assert {name: claim.verdict(lies=True) for name, claim in made.items()} == dict.fromkeys(
        made, SUPPORTED
    )


NEVER = {"value": None, "low": None, "high": None, "never": 1.0, "always_below": False}
OPEN = {"value": None, "low": None, "high": None, "never": 0.7, "always_below": False}
FEW_SUBJECTS = {"value": 0.9, "low": -1.0, "high": 1.0, "n": 5}
FEW_HEADS = {"value": 0.9, "low": None, "high": None, "n": 270}
BELOW = NEVER | {"always_below": True}


@pytest.mark.parametrize(
    ("name", "where", "value", "verdict"),
    [
        ("lying", "behaviour/known_report/honest/accuracy", rate(0.5), INCONCLUSIVE),
        ("lying", "behaviour/known_report/honest/accuracy", rate(0.3), NOT_SUPPORTED),
        ("lying", "behaviour/known_report/liar/accuracy", rate(0.48), INCONCLUSIVE),
        ("lying", "behaviour/known_report/liar/recall_true", rate(0.9), NOT_SUPPORTED),
        ("lying", "behaviour/known_report/liar/answer_mass", rate(0.2), NOT_SUPPORTED),
        ("before", "probes/best/resid_post/honest/liar", {"layer": 7, "accuracy": rate(0.5), "permuted": rate(0.5)}, NOT_SUPPORTED),
        ("before", "probes/best/resid_post/honest/liar", {"layer": 7, "accuracy": rate(0.56, 0.1), "permuted": rate(0.5)}, INCONCLUSIVE),
        ("before", "transfer/methods/logistic/honest/permuted", {"mean": 0.5, "max": 0.95, "draws": 20, "p": 2 / 21}, INCONCLUSIVE),
        ("before", "transfer/methods/logistic/honest/permuted", {"mean": 0.5, "max": 0.95, "draws": 20, "p": 20 / 21}, NOT_SUPPORTED),
        ("before", "transfer/bag_of_tokens/all", rate(0.7), NOT_SUPPORTED),
        ("before", "transfer/bag_of_tokens/all", rate(0.6), INCONCLUSIVE),
        ("after", "probes/by_layer/honest/liar", {"5": rate(0.5)}, NOT_SUPPORTED),
        ("after", "probes/by_layer/honest/liar", {"5": rate(0.5, 0.2)}, INCONCLUSIVE),
        ("opposite", "transfer/divergence/mass_mean/honest/liar/turning_layer", NEVER, NOT_SUPPORTED),
        ("opposite", "transfer/divergence/mass_mean/honest/liar/turning_layer", OPEN, INCONCLUSIVE),
        ("opposite", "transfer/divergence/mass_mean/honest/liar/turning_layer", BELOW, INCONCLUSIVE),
        ("diverging", "transfer/divergence/mass_mean/neutral/honest/divergence_layer", BELOW, NOT_SUPPORTED),
        ("diverging", "transfer/divergence/mass_mean/neutral/honest/divergence_layer", NEVER, SUPPORTED),
        ("diverging", "transfer/divergence/mass_mean/neutral/honest/divergence_layer", layer(2), NOT_SUPPORTED),
        ("diverging", "transfer/divergence/mass_mean/neutral/honest/layers", 1, UNTESTED),
        ("diverging", "transfer/divergence/mass_mean/honest/liar/divergence_layer", {"value": 3, "low": 3, "high": None}, INCONCLUSIVE),
        ("window", "windows/runs/report/patched", run(0.52), INCONCLUSIVE),
        ("window", "windows/runs/report/base", run(0.82), INCONCLUSIVE),
        ("window", "widths/patched/2/difference/best - control/accuracy", rate(0.02), INCONCLUSIVE),
        ("few_heads", "transplant/elsewhere", control(30), NOT_SUPPORTED),
        ("few_heads", "transplant/elsewhere", control(0, 20), INCONCLUSIVE),
        ("few_heads", "transplant/effect/patched - base/accuracy", rate(0.02), INCONCLUSIVE),
        ("few_heads", "transplant/effect/patched - base/accuracy", FEW_SUBJECTS, INCONCLUSIVE),
        ("trained_layers", "ground_truth/heads/auroc", FEW_HEADS, INCONCLUSIVE),
        ("few_heads", "heads/n_heads", 10, NOT_SUPPORTED),
        ("few_heads", "robustness/sets/search/heads/scored/default/recovered", rate(0.3), NOT_SUPPORTED),
        ("these_heads", "transplant/random", control(26), NOT_SUPPORTED),
        ("these_heads", "transplant/random", control(6), INCONCLUSIVE),
        ("these_heads", "transplant/random/accuracy", control(26)["accuracy"], NOT_SUPPORTED),
        ("these_heads", "transplant/random/p_correct", control(26)["p_correct"], NOT_SUPPORTED),
        ("these_heads", "controls/patched - control/rest_of_layers/accuracy", rate(0.0), INCONCLUSIVE),
        ("reverse", "transplant/by_topic/all/reverse", run(0.48), INCONCLUSIVE),
        ("reverse", "controls/reverse - rest/accuracy", rate(-0.01), INCONCLUSIVE),
        ("sure", "confidence/runs/patched/accuracy/0.9", rate(0.5), INCONCLUSIVE),
        ("sure", "confidence/runs/base/accuracy/0.9", rate(0.6), NOT_SUPPORTED),
        ("topics", "robustness/generalisation/topic", {"off_diagonal": rate(0.9), "difference": rate(0.0, 0.1), "n_sets": 3}, INCONCLUSIVE),
        ("topics", "robustness/generalisation/topic", {"off_diagonal": rate(0.9), "difference": rate(-0.2), "n_sets": 3}, NOT_SUPPORTED),
        ("wordings", "robustness/generalisation/wording", {"off_diagonal": rate(0.4), "difference": rate(0.0, 0.02), "n_sets": 3}, NOT_SUPPORTED),
        ("honesty", "controls/patched - control/other_label/accuracy", rate(0.5), NOT_SUPPORTED),
        ("honesty", "controls/patched - control/mean_ablation_selection/accuracy", rate(0.0, 0.06), INCONCLUSIVE),
        ("honesty", "controls/patched - control/mean_ablation_selection/accuracy", rate(-0.3), NOT_SUPPORTED),
        ("honesty", "controls/patched - control/rest_of_window/accuracy", rate(0.0), INCONCLUSIVE),
        ("last_position", "positions/counts/window/1", run(0.3), NOT_SUPPORTED),
        ("erasing", "erasure/personas/liar/windows/3-4/leace/accuracy", rate(0.2), NOT_SUPPORTED),
        ("erasing", "erasure/personas/liar/windows/3-4/leace/accuracy", rate(0.5, 0.2), INCONCLUSIVE),
        ("erasing", "erasure/personas/honest/windows/3-4/leace - permuted", {"p_correct": rate(0.0)}, INCONCLUSIVE),
        ("erasing", "erasure/personas/honest/windows/3-4/leace - random", {"p_correct": rate(0.4)}, NOT_SUPPORTED),
        ("erasing", "erasure/draws", 1, INCONCLUSIVE),
        ("ranking", "attribution_patching/top", rate(0.12) | {"by_chance": 0.1, "n_heads": 2}, INCONCLUSIVE),
        ("estimated_sets", "set_sizes/rules/estimate/up/difference/auc_log", rate(-0.06), INCONCLUSIVE),
        ("estimated_sets", "set_sizes/rules/estimate/up/difference/auc_log", rate(-0.2), NOT_SUPPORTED),
        ("trained_layers", "ground_truth/window/overlap", 0.0, NOT_SUPPORTED),
        ("written", "trace/cells/3 user turn/accuracy", rate(0.1), NOT_SUPPORTED),
        ("written", "trace/paths/3 user turn > 4 all/through", rate(0.1), NOT_SUPPORTED),
        ("written", "trace/paths/3 user turn > 4 all/through", rate(0.52), INCONCLUSIVE),
        ("weights", "grafts/needed_layers", [4], NOT_SUPPORTED),
        ("weights", "grafts/layers/4", {"without": {"recovered": rate(0.2, 0.1), "accuracy": rate(0.5)}}, INCONCLUSIVE),
        ("weights", "trace/views", {}, UNTESTED),
        ("honesty", "controls/patched - control/mean_ablation_selection/p_correct", rate(0.1, 0.01), NOT_SUPPORTED),
        ("erasing", "erasure/personas/liar/as_far/3-4/random", 1, INCONCLUSIVE),
        ("erasing", "erasure/personas/liar/as_far/3-4/random", 6, NOT_SUPPORTED),
        ("weights", "grafts/needed/set/without/accuracy", rate(0.2), NOT_SUPPORTED),
        ("weights", "grafts/needed/rest/without/accuracy", rate(0.52), INCONCLUSIVE),
        ("trained_layers", "ground_truth/window/overlap", 1 / 3, INCONCLUSIVE),
        ("trained_layers", "ground_truth/heads/auroc", rate(0.63), INCONCLUSIVE),
    ],
)  # fmt: skip
def test_a_check_that_is_not_supported_decides_its_claim_and_no_other(name, where, value, verdict):
    made = claims(put(result(), where, value))
    verdicts = {other: claim.verdict(lies=True) for other, claim in made.items()}
    assert verdicts.pop(name) == verdict
    assert verdicts == dict.fromkeys(verdicts, SUPPORTED)
    assert made[name].deciding().verdict == verdict


def test_one_draw_of_twenty_sets_cannot_decide_in_either_direction():
    """None of 20 sets does as well, or two do: neither shows how many of all sets would."""
    for n_as_good in (0, 2):
        made = claims(put(result(), "transplant/random", control(n_as_good, 20)))
        assert made["these_heads"].verdict(lies=True) == INCONCLUSIVE


def test_the_layer_where_directions_diverge_must_have_been_trained():
    metrics = result()
    metrics["transfer"]["divergence"]["mass_mean"]["honest"]["liar"]["divergence_layer"] = layer(7)
    assert claims(metrics)["trained_layers"].verdict(lies=True) == NOT_SUPPORTED


def of_the_set(metrics):
    """The check that counts the set's heads in trained layers."""
    checks = claims(metrics)["trained_layers"].checks
    return [check for check in checks if "heads of the set" in check.measures]


def test_heads_in_trained_layers_are_counted_against_the_window_that_was_searched():
    """Not against all heads of the model: half of this window was trained, and 2 % of all heads."""
    metrics = put(result(), "windows/best", {"first_layer": 4, "last_layer": 5})
    (check,) = of_the_set(put(metrics, "ground_truth/set", {"n_heads": 5, "n_trained": 5}))
    assert "has 2.5" in check.measured
    assert check.chance is not None
    assert check.chance.p == check.chance.least == pytest.approx(1 / 252)  # of 5 among 10
    (check,) = of_the_set(put(metrics, "ground_truth/set", {"n_heads": 5, "n_trained": 3}))
    assert check.verdict == INCONCLUSIVE
    (check,) = of_the_set(put(metrics, "ground_truth/set", {"n_heads": 5, "n_trained": 0}))
    assert check.verdict == NOT_SUPPORTED


def test_a_set_from_a_window_that_was_trained_throughout_shows_nothing_by_lying_in_it():
    assert of_the_set(result()) == []


def test_where_trained_layers_are_far_from_the_window_overlap_refutes():
    metrics = put(result(), "ground_truth/window/overlap", 0.0)
    assert "p = 1.000" in claims(metrics)["trained_layers"].checks[0].measured


def test_without_a_lie_nothing_that_is_about_it_is_claimed():
    honest = put(result(), "behaviour/known_report/liar", answers(0.9))
    made = claims(honest)
    assert not behaviour.lies(made["lying"])
    verdicts = {name: claim.verdict(lies=False) for name, claim in made.items()}
    assert verdicts.pop("lying") == NOT_SUPPORTED
    assert set(verdicts.values()) == {UNTESTED}
    assert "does not lie" in made["window"].says(lies=False)


def test_whether_it_lies_does_not_depend_on_the_order_of_sentences():
    for where, lies in (("honest/accuracy", True), ("liar/recall_true", False)):
        metrics = put(result(), f"behaviour/known_report/{where}", rate(0.6))
        claim = behaviour.lying(read(metrics), *PAIR)
        for checks in itertools.permutations(claim.checks):
            assert behaviour.lies(replace(claim, checks=list(checks))) is lies


def test_answers_that_hold_little_are_said_in_the_section_on_behaviour():
    metrics = put(result(), "behaviour/personas", {"liar": {"all": {"answer_mass": rate(0.12)}}})
    before = behaviour.lying(read(metrics), *PAIR).notes
    metrics["behaviour"]["first_token"] = {"liar": {"token": "<`think`>\n"} | rate(0.93)}
    (note,) = [line for line in behaviour.lying(read(metrics), *PAIR).notes if line not in before]
    assert note.says == (
        "As `liar` little of the probability is on an answer: P(true) + P(false) is 0.120 "
        "[0.070, 0.170] (n = 100) on average over all statements. The token that is most often "
        "the most probable one is ``'<`think`>\\n'``, on 0.930 [0.880, 0.980] (n = 100) of the "
        "prompts."
    )


def test_names_are_text_wherever_they_stand():
    """Names are of [a-z0-9_]: with underscores around them they would be bold."""
    metrics = result()
    metrics["grid"]["lying"] = {"__liar__": metrics["grid"]["lying"]["liar"]}
    sets = {"__a__": {"scored": {"default": run(0.3)}}}
    metrics["robustness"]["sets"]["topic"] = sets
    metrics["behaviour"]["known_report"]["__l__"] = answers(0.1)
    notes = [
        behaviour.lying(read(metrics), *PAIR).notes[-1],
        *behaviour.sure(read(metrics), "honest", "__l__").notes,
    ]
    lines = [note.says for note in notes] + [scope.topics(read(metrics)).tables[0].rows[0][0]]
    assert "__" not in "".join(lines)
    assert sum("&#95;&#95;" in line for line in lines) == 4


def test_wordings_and_the_models_name_are_text(monkeypatch, tmp_path):
    wordings = {
        "honest_system": "Be honest.\n\n## Held\n<script>alert(1)</script>",
        "honest_prefix": "</details> | `x` $x$ [a](javascript:alert(1)) \u202e",
        "liar_system": "",
        "liar_prefix": " so",
    }
    file = tmp_path / "params.yaml"
    file.write_text(json.dumps({"prompt": wordings}))
    monkeypatch.chdir(tmp_path)
    lines = [stage._persona(name) for name in PAIR]
    manifest = {"source": "./a`b\n# c", "revision": None, "dtype": "float32", "organism": None}
    lines.append(stage._model(manifest))
    assert not [line for line in lines if "\n" in line or "<" in line or "\u202e" in line]
    assert lines[0] == (
        "`honest`: “Be honest.↵↵## Held↵&#60;script&#62;alert(1)&#60;/script&#62;”; answers start "
        "with “&#60;/details&#62; &#124; &#96;x&#96; &#36;x&#36; "
        "&#91;a&#93;(javascript&#58;alert(1)) ⟨U+202E⟩”."
    )
    assert lines[1:] == [
        "`liar`: none given: the chat template may add its own; answers start with “ so”.",
        "Model: ``./a`b↵# c``, float32.",
    ]


def test_a_blank_system_prompt_is_none_and_an_empty_one_is_left_to_the_template():
    assert wordings.system(" ") == "no system prompt"
    assert wordings.system("") == wordings.TEMPLATE
    assert wordings.system("Lie.") == "“Lie.”"


@pytest.mark.parametrize(
    ("source", "file"), [("pypi:x==1", "x.Q4_1.gguf"), ("a/B@c", None), ("./models/b", None)]
)
def test_the_file_in_a_package_is_of_a_package(source, file, tmp_path, monkeypatch):
    """`model.file` stays in params.yaml where a hub id or a folder replaces the package."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "params.yaml").read_text()
    text = re.sub(r"source: pypi\S+", f"source: {source}", text, count=1)
    text = re.sub(r"file: \S+", "file: x.Q4_1.gguf", text, count=1)
    Path("params.yaml").write_text(text)
    asked = []
    monkeypatch.setattr(stage, "collect", lambda *arguments: asked.append(arguments[3]))
    monkeypatch.setattr(stage.page, "render", lambda made: "")
    monkeypatch.setattr(stage.html, "render", lambda made, figures: "")
    monkeypatch.setattr(stage.results, "read", lambda metrics: None)
    monkeypatch.setattr(stage.own, "claims", lambda metrics: [])
    (tmp_path / "manifest.json").write_text("{}")
    stage.main(tmp_path, tmp_path, tmp_path, tmp_path / "a.md", tmp_path / "a.html")
    assert asked == [file]


def test_who_prefers_one_answer_does_not_lie():
    habit = put(result(), "behaviour/known_report/liar/recall_false", rate(0.9))
    assert not behaviour.lies(claims(habit)["lying"])


def test_what_was_not_measured_is_not_claimed():
    nothing = vars(NOTHING) | {"by_chance": 0.1, "n_heads": 2}
    claim = claims(put(result(), "attribution_patching/top", nothing))["ranking"]
    assert claim.verdict(lies=True) == UNTESTED
    assert "not measured" in claim.says(lies=True)


def test_where_they_diverge_nowhere_it_is_not_tested():
    where = "transfer/divergence/mass_mean/honest/liar/divergence_layer"
    assert claims(put(result(), where, NEVER))["diverging"].verdict(lies=True) == UNTESTED


def test_the_erased_window_is_of_the_best_ones_size_and_place():
    windows = {name: erased()["windows"]["3-4"] for name in ("0-1", "2-3", "3-9")}
    for name, low in (("0-1", 0.9), ("3-9", 0.9), ("2-3", 0.5)):
        windows[name] = windows[name] | {"leace": windows[name]["leace"] | {"accuracy": rate(low)}}
    metrics = result()
    for persona in PAIR:
        metrics["erasure"]["personas"][persona]["windows"] = windows
    claim = claims(metrics)["erasing"]
    assert "layers 2-3" in claim.checks[0].measures
    assert claim.verdict(lies=True) == SUPPORTED


def test_without_known_statements_nothing_is_told_and_nothing_crashes():
    unknown = {name: vars(NOTHING) for name in answers(0.5)}
    run_of_none = dict.fromkeys(run(0.5)) | {"n": 0}
    metrics = result()
    metrics["behaviour"]["known_report"] = {"honest": unknown, "liar": unknown}
    metrics["probes"]["n"]["report"] = {"true": 0, "false": 0}
    metrics["windows"] |= {
        "best": None,
        "runs": {"report": {name: run_of_none for name in ("source", "base")}},
    }
    metrics["transplant"]["by_topic"]["all"] = {
        name: run_of_none for name in ("source", "patched", "base", "reverse")
    }
    no_rank = dict.fromkeys(("own", "mean", "median", "max", "p05", "p95", "p_value", "p_least"))
    no_rank |= {"n_sets": 0, "lead": vars(NOTHING), "as_good": vars(NOTHING)}
    for where in ("random", "elsewhere"):
        ranks = {"accuracy": no_rank, "p_correct": no_rank, "by_label": None, "one_answer": None}
        metrics["transplant"][where] = ranks | {"shared": {}}
    metrics["heads"] = {"n_heads": None, "share_of_all_heads": None}
    metrics["widths"]["patched"] = {}
    metrics["positions"] = {"unpatched": {"counts": {}}}
    metrics["set_sizes"]["rules"] = {"single": None, "estimate": None}
    metrics["transfer"]["methods"] = {"logistic": {"honest": None}, "ccs": {"honest": None}}
    metrics["transfer"]["divergence"] = {}
    metrics["probes"]["by_layer"] = {}
    metrics["logit_attribution"] = {}
    metrics["erasure"] = {"personas": {"honest": {}, "liar": {}}}
    metrics["robustness"] = {"generalisation": {"topic": {}, "wording": {}}}
    metrics["controls"] |= {
        "patched - control": {},
        "reverse - rest": {},
        "by_label": {},
        "n_heads": {},
        "runs": {},
    }
    made = claims(metrics)
    assert behaviour.lies(made["lying"]) is None
    assert made["lying"].verdict(None) == UNTESTED
    assert {claim.verdict(None) for claim in made.values()} == {UNTESTED}
    assert "not decided" in made["window"].says(None)
    summary = texts.summary(read(metrics), *PAIR, 25)
    page.render(Page("Title", "Question?", [], summary, "", list(made.values()), None, [], []))


def test_the_control_of_the_nearest_size_stands_beside_the_window():
    wide = {"9": result()["widths"]["patched"]["2"]}
    assert claims(put(result(), "widths/patched", wide))["window"].verdict(lies=True) == SUPPORTED
    assert claims(put(result(), "widths/patched", {}))["window"].verdict(lies=True) == UNTESTED


def test_no_best_window_is_not_measured():
    metrics = put(result(), "windows/best", None)
    del metrics["windows"]["runs"]["report"]["patched"]
    assert claims(metrics)["window"].verdict(lies=True) == UNTESTED


def test_windows_as_accurate_as_the_best_one_are_named_with_their_size():
    metrics = put(result(), "windows/as_accurate", {"2": 0.81, "5": 0.7})
    metrics["windows"]["runs"]["selection"] = {"patched": {"p_correct": 0.923}}
    (note,) = (
        note.says for note in claims(metrics)["window"].notes if "same accuracy" in note.says
    )
    assert "layers 3-4 have the highest mean P(correct), 0.923." in note
    assert note.endswith("layers 2-3 (0.810), layers 5-6 (0.700).")


def test_a_model_that_is_no_organism_has_no_trained_layers_to_claim():
    assert (
        trained_layers.claim(read(put(result(), "ground_truth", {"organism": None})), *PAIR) is None
    )


def test_numbers_have_their_interval_and_n():
    assert number(Interval(**rate(0.9864, 0.01, 221))) == "0.986 [0.976, 0.996], n = 221"
    assert number(NOTHING) == "not measured"


def test_the_page_has_each_claim_its_checks_and_its_pictures():
    wet = Claim(
        "Is water wet?",
        "Water is wet.",
        [so("it", "wet", "wet", True, "sea")],
        ("water.png",),
        notes=[Note("It is.", "sea")],
    )
    cold = Claim(
        "Is fire cold?",
        "Fire is cold.",
        [so("its colour", "red", "red", True), so("its heat", "none", "it burns", False)],
    )
    text = page.render(Page("Title", "Question?", ["A model."], [], "", [wet, cold], True, [], []))
    assert (
        "| [Is water wet?](#is-water-wet) | supported | Water is wet. | it: wet | "
        "[wet](../metrics/sea.json) |" in text
    )
    assert (
        "| [Is fire cold?](#is-fire-cold) | **not supported** | Fire is cold. | its heat: none | "
        "it burns |" in text
    )
    assert "Verdict: supported. It: [wet](../metrics/sea.json)." in text
    assert "](figures/water.png)" in text
    assert "Verdict: **not supported**. Its heat: it burns." in text
    assert "| it | wet | [wet](../metrics/sea.json) | supported |" in text
    assert "- It is. ([sea](../metrics/sea.json))" in text
    assert "\n## Limits\n" in text


def test_what_fails_is_never_said_as_if_it_were_found():
    """The sentence of the verdict is what was measured, not the claim."""
    cold = Claim("Is fire cold?", "Fire is cold.", [so("its heat", "none", "it burns", False)])
    assert cold.says(lies=True) == "its heat: it burns"


def test_the_committed_metrics_are_read():
    metrics = results.read(Path(__file__).parents[2] / "metrics")
    assert metrics.windows.best is not None
    assert metrics.transplant.n_heads == metrics.heads.n_heads


def test_the_committed_page_has_no_picture_that_is_not_there():
    file = Path(__file__).parents[2] / "plots" / "report.md"
    names = [
        line.rsplit("(", 1)[1].rstrip(")")  # a caption may have brackets too
        for line in file.read_text().splitlines()
        if line.startswith("![")
    ]
    assert len(names) > 5
    assert not [name for name in names if not (file.parent / name).is_file()]
    assert json.loads((file.parents[1] / "metrics/behaviour.json").read_text())


@pytest.mark.parametrize(
    ("organism", "trained", "to_lie"),
    [
        ({"name": "a", "layers": [3]}, True, True),
        ({"name": "facts", "layers": None}, True, False),
        (None, False, False),
    ],
)
def test_limits_are_those_of_the_model_at_hand(organism, trained, to_lie):
    manifest = {"organism": organism, "dtype": "float32"}
    says = " ".join(note.says for note in texts.limits(read(result()), manifest, "a/B.Q4_1.gguf"))
    assert ("taught" in says) == trained
    assert ("One training run" in says) == to_lie
    assert "format Q4_1 of GGUF" in says
    assert "90 of 100" in says
    plain = texts.limits(read(result()), manifest, None)
    assert "GGUF" not in " ".join(note.says for note in plain)


def test_the_summary_counts_the_verdicts_and_says_what_was_measured():
    made = list(claims(result()).values())
    assert texts.sure(made, True).startswith(
        f"Verdicts on {len(made)} claims: {len(made)} supported, 0 not supported"
    )
    assert "not testable" not in texts.sure(made, True)
    assert f"{len(made) - 1} not testable" in texts.sure(made, False)
    says = [note.says for note in texts.summary(read(result()), *PAIR, 25)]
    assert "0.100 [0.050, 0.150] (n = 100) as `liar`" in says[0]
    assert "3 heads" in says[-1]


def test_the_method_counts_the_p_values_and_names_the_margins():
    made = list(claims(result()).values())
    n = sum(check.chance is not None for claim in made for check in claim.checks)
    text = " ".join(texts.method(made))
    assert n > 2
    assert f"The {n} p-values" in text
    assert "±0.05" in text
    assert "±0.10" in text


def test_intervals_are_made_as_the_method_says():
    """A fingerprint of each function beside the sentence on it: change both, or neither."""
    rates, answers, resampled, heads, others = texts.INTERVALS
    values, subject = np.random.default_rng(0).random(30), np.arange(30) % 8
    t = distributions.t.ppf(0.975, 7)

    assert "A rate has Wilson's interval" in rates
    assert stats.rate(np.ones(30), subject).low == pytest.approx(1 / (1 + t**2 / 8))

    assert "A mean has Student's t, with the variance between subjects" in rates
    sums = [(values - values.mean())[subject == g].sum() for g in range(8)]
    half = t * np.sqrt(8 / 7 * np.square(sums).sum() / 30**2)
    row = stats.mean(values, subject, (-9, 9))
    assert (row.low, row.high) == pytest.approx((values.mean() - half, values.mean() + half))

    assert "the interval of Newcombe, from the intervals of both rates" in answers
    right, other = values > 0.3, values > 0.7
    up, down = stats.rate(right & ~other, subject), stats.rate(other & ~right, subject)
    value, low, _ = ends(up)
    below = value - np.hypot(value - low, there(down.high))
    assert stats.difference(right, other, subject).low == pytest.approx(below)

    assert "Another difference, a fraction of a gap" in resampled
    assert "have a bootstrap over subjects, paired by statement" in resampled
    zeros = np.zeros(30)
    assert len({stats.difference(values, zeros, subject, seed).low for seed in range(9)}) > 1
    assert "Fewer than six subjects give it no ends" in resampled
    assert stats.mean_difference(values, subject % 5).low is None
    assert stats.mean_difference(values, subject % 6).low is not None
    assert "a difference of accuracies or probabilities then ends at -1 and 1" in resampled
    assert stats.difference(values, zeros, subject % 5).high == 1
    assert "Wilson's interval for a rate of 0 bounds the fraction" in resampled
    unseen = stats.rate(zeros, subject).high
    assert stats.difference(zeros + 0.5, zeros, subject).high == pytest.approx(
        0.5 + there(unseen) / 2
    )
    gap = values + 1
    assert len({ratios.ratios(values[None], gap, subject, s)[0].low for s in range(9)}) > 1
    assert ratios.ratios(gap[None] / 2, gap, subject)[0].low == pytest.approx(0.5)

    assert "without ends for fewer than six true heads" in heads
    assert ranking.ranked(values, np.arange(30) < 5).auroc.low is None
    assert ranking.ranked(values, np.arange(30) < 6).auroc.low is not None

    assert "exact interval (Clopper-Pearson)" in others
    exact = distributions.binomtest(4, 100).proportion_ci(method="exact")
    assert stats.proportion(4, 100).low == pytest.approx(exact.low)

    said = texts.method(list(claims(result()).values()))
    assert [line for line in said if line in texts.INTERVALS] == list(texts.INTERVALS)


def test_without_a_later_layer_nothing_is_said_of_writers():
    made = claims(put(result(), "trace/paths", {}))
    assert made["written"].verdict(lies=True) == UNTESTED
    assert (
        made["weights"].verdict(lies=True) == NOT_SUPPORTED
    )  # the lie needs a layer, none is found
    assert place.sentences(read(put(result(), "trace/paths", {})).trace) == []


def test_a_model_that_was_not_taught_to_lie_has_no_weights_to_claim():
    assert place.weights(read(put(result(), "grafts", {"reason": "none"})), *PAIR) is None


@pytest.mark.parametrize(
    ("undone", "verdict"),
    [
        ({3: rate(0.9), 4: rate(0.1)}, SUPPORTED),
        ({3: rate(0.1), 4: rate(0.1)}, NOT_SUPPORTED),  # measured, and no layer is needed
        ({3: rate(0.3, 0.1), 4: rate(0.1)}, INCONCLUSIVE),  # the writer may be needed
        ({3: rate(0.9), 4: rate(0.3, 0.1)}, INCONCLUSIVE),  # another layer may be needed too
        ({3: rate(0.1), 4: rate(0.3, 0.1)}, NOT_SUPPORTED),  # the writer is not needed
        ({3: rate(0.9), 4: rate(0.9)}, NOT_SUPPORTED),
        ({}, UNTESTED),
    ],
)
def test_layers_whose_interval_reaches_over_the_bound_decide_nothing(undone, verdict):
    metrics = result()
    metrics["grafts"]["layers"] = {
        str(layer): {"without": {"recovered": row, "accuracy": rate(0.5)}}
        for layer, row in undone.items()
    }
    metrics["grafts"]["needed_layers"] = [
        layer for layer, row in undone.items() if row["low"] > NEEDED
    ]
    assert claims(metrics)["weights"].checks[0].verdict == verdict


@pytest.mark.parametrize(
    ("liar", "lies"), [(rate(0.1), True), (rate(0.4, 0.2), None), (rate(0.6), False)]
)
def test_a_lie_that_is_not_decided_is_no_truth(liar, lies):
    made = claims(put(result(), "behaviour/known_report/liar/recall_true", liar))
    assert behaviour.lies(made["lying"]) is lies
    assert ("not decided" in made["window"].says(behaviour.lies(made["lying"]))) == (lies is None)


@pytest.mark.parametrize(("accuracy", "fails"), [(rate(0.95), False), (rate(0.5), True)])
def test_a_threshold_fails_only_where_the_accuracy_says_so(accuracy, fails):
    metrics = put(result(), "probes/by_layer/honest/liar/5", accuracy)
    metrics["probes"]["auroc"] = {"honest": {"liar": {"5": rate(0.97)}}}
    text = claims(metrics)["after"].notes[0].says
    assert "still separates true from false" in text
    assert ("the threshold fails" in text) == fails


def test_heads_are_named_by_layer_and_neighbours_as_a_range():
    some = [Head(23, 1), Head(22, 0), Head(23, 0), Head(23, 7), Head(23, 8), Head(24, 2)]
    assert words.heads(some) == "22.0, 23.0-1, 23.7-8, 24.2"
    assert words.heads([]) == "none"


def test_places_that_are_enough_alone_are_told_from_those_that_are_needed():
    metrics = result()
    metrics["positions"]["blocks"] = {
        "prefix": {
            name: run(value) | {"positions": 3.0}
            for name, value in (("alone", 0.9), ("left_out", 0.1))
        },
        "user turn": {
            name: run(value) | {"positions": 5.0}
            for name, value in (("alone", 0.8), ("left_out", 0.9))
        },
    }
    enough, needed = [
        note.says.split("): ")[1]
        for note in scope.last_position(read(metrics), *PAIR).notes
        if note.says.startswith("Blocks that are")
    ]
    assert enough == "assistant prefill and user-turn header."
    assert needed == "assistant prefill."


def test_what_is_true_by_construction_is_said_so_and_of_no_other_layer():
    notes = {}
    for last in (5, 7, 8):
        metrics = result()
        metrics["ground_truth"]["trained_layers"] = {"first_layer": last, "last_layer": last}
        says = [note.says for note in reading.before(read(metrics), *PAIR).notes]
        notes[last] = [said for said in says if said.startswith("The probe is expected to read")]
    layer = read(result()).probes.best["resid_post"]["honest"]["honest"].layer
    assert {last: len(said) for last, said in notes.items()} == {
        last: int(layer <= last) for last in notes
    }
    assert {0, 1} == {len(said) for said in notes.values()}


def test_the_polarity_that_a_probe_was_not_fitted_on_is_reported():
    metrics = result()
    method = metrics["transfer"]["methods"]["logistic"]["honest"]
    method["polarity"] = {
        "plain": {"negated": rate(0.61)},
        "negated": {"plain": rate(0.62)},
    }
    says = " ".join(note.says for note in reading.before(read(metrics), *PAIR).notes)
    assert "plain statements of `honest` alone has an accuracy of 0.610" in says
    assert "negated statements alone 0.620" in says


@pytest.mark.parametrize(
    ("true", "false", "share"), [(1.0, 0.0, 1.0), (0.0, 1.0, 0.0), (0.5, 0.5, 0.5), (1.0, 1.0, 0.5)]
)
def test_the_share_of_the_word_true_is_counted_over_both_labels(true, false, share):
    both = {"true": rate(true), "false": rate(false)}
    metrics = put(result(), "controls/by_label", {"other_label": both})
    says = " ".join(note.says for note in scope.honesty(read(metrics), *PAIR).notes)
    assert f"{share:.3f} of the answers are the word true (n = 200)" in says


def test_a_model_that_was_not_trained_to_lie_is_not_read_by_construction():
    for truth, said in ((result()["ground_truth"], True), ({"organism": None}, False)):
        notes = reading.after(read(put(result(), "ground_truth", truth)), *PAIR).notes
        (layers,) = [note.says for note in notes if note.says.startswith("Layers of the lie: ")]
        assert ("by construction" in layers) == said
        assert "layers 3-4" in layers


def test_each_writer_of_the_lie_has_a_line_of_the_summary():
    metrics = result()
    metrics["trace"]["cells"]["2 system"] = cell_of(2, "system")
    metrics["trace"]["paths"]["2 system > 4 all"] = {
        "writer": "2 system", "reader": "4 all", "through": rate(0.7), "around": rate(0.1)
    }  # fmt: skip
    says = [note.says for note in texts.summary(read(metrics), *PAIR, 25)]
    writers = [line for line in says if "of the gap in log-odds" in line]
    assert ["layer 3 at the user-turn header" in line for line in writers] == [True, False]
    assert ["layer 2 at the system prompt" in line for line in writers] == [False, True]
    assert "0.700 [0.650, 0.750] of this gain passes through layer 4 (n = 100)" in writers[1]


def test_the_summary_says_who_writes_and_who_reads_where_the_gain_passes_through_the_reader():
    through = "trace/paths/3 user turn > 4 all/through"
    for metrics, found in ((result(), True), (put(result(), through, rate(0.52)), False)):
        first = place.sentences(read(metrics).trace)[0].says
        found_line = "Layer 3 writes the effect of the system prompt at the user-turn header; "
        assert first.startswith(found_line + "layer 4 reads it.") == found
        # the place is said either way, as the next line names it
        assert first.endswith("that open the user's turn, before question and statement.")


def test_what_z_before_the_statement_can_hold_is_said_of_such_places_alone():
    for block, said in (("user turn", True), ("statement", False)):
        metrics = result()
        metrics["trace"]["cells"]["3 user turn"] = cell_of(3, block)
        notes = place.written_and_read(read(metrics), *PAIR).notes
        assert any("holds no answer" in note.says for note in notes) == said


@pytest.mark.parametrize(
    ("block", "verdict"),
    [("system", SUPPORTED), ("question", SUPPORTED), ("statement", NOT_SUPPORTED),
     ("last token", NOT_SUPPORTED)],
)  # fmt: skip
def test_a_place_at_the_end_of_the_prompt_is_not_early(block, verdict):
    metrics = result()
    metrics["trace"]["cells"]["3 user turn"] = cell_of(3, block)
    assert place.written_and_read(read(metrics), *PAIR).verdict(lies=True) == verdict


def test_an_overlap_of_six_digits_counts_the_window_it_is_of():
    """Rounded up, it is more than the overlap of any window."""
    metrics = put(result(), "ground_truth/window/overlap", 1 / 3)
    exact = claims(metrics)["trained_layers"].checks[0].chance
    rounded = claims(put(metrics, "ground_truth/window/overlap", 0.333334))
    assert exact is not None
    assert rounded["trained_layers"].checks[0].chance == exact


def test_the_smallest_chance_of_an_overlap_is_that_of_the_largest_one():
    """Several windows lie within five trained layers: none of them can be told from another."""
    metrics = put(result(), "ground_truth/window/overlap", 0.4)
    metrics["ground_truth"]["trained_layers"] = {"first_layer": 2, "last_layer": 6}
    chance = claims(metrics)["trained_layers"].checks[0].chance
    assert chance is not None
    assert chance.p == chance.least == pytest.approx(4 / 149)  # of 150 layers, by two


def test_a_threshold_that_fails_is_told_from_a_direction_that_does():
    metrics = result()
    metrics["probes"]["by_layer"]["honest"]["liar"]["5"] = rate(0.5)
    for value, said in ((0.9, "the threshold fails"), (0.1, "the opposite sign")):
        metrics["probes"]["auroc"] = {"honest": {"liar": {"5": rate(value)}}}
        assert said in reading.after(read(metrics), *PAIR).notes[0].says


def test_a_crowded_layer_is_named_with_the_heads_that_any_set_must_share():
    metrics = result()
    metrics["robustness"]["window"] = {"first_layer": 3, "last_layer": 4}  # of 5 heads each
    chosen = {"heads": [[3, 0], [3, 1], [3, 2], [3, 4], [4, 0]]}
    metrics["robustness"]["sets"]["search"]["heads"] |= chosen
    says = head_set.these_heads(read(metrics), *PAIR).notes[0].says
    assert says.startswith("The set holds 4 of the 5 heads of layer 3, ")
    assert "shares at least 3 of them" in says


@pytest.mark.parametrize(
    ("file", "source", "name"),
    [
        ("a/SmolLM2-135M-Instruct.Q4_1.gguf", "pypi:x==1", "SmolLM2-135M-Instruct"),
        ("TinyLlama-1.1B.F16.gguf", "pypi:x==1", "TinyLlama-1.1B"),
        ("Qwen2.5-7B.IQ4_XS.gguf", "pypi:x==1", "Qwen2.5-7B"),
        (None, "Qwen/Qwen2.5-7B-Instruct@a09a35", "Qwen2.5-7B-Instruct"),
        (None, "./models/tiny/", "tiny"),
        (None, "a/<b>|c", "&#60;b&#62;&#124;c"),
    ],
)
def test_the_title_names_the_model_and_presumes_no_lie(file, source, name):
    manifest = {"source": source, "organism": None}
    assert texts.title(manifest, file, lies=True) == f"Results: where {name} turns truth into a lie"
    for lies in (False, None):
        assert texts.title(manifest, file, lies).startswith(f"Results: whether {name} turns")
    manifest["organism"] = {"name": "late", "layers": [4]}
    assert f"where organism late of {name} turns" in texts.title(manifest, file, lies=True)


def test_the_page_introduces_the_model_and_its_lie():
    manifest = {"source": "hub", "organism": {"name": "a", "layers": [3, 4]}, "sizes": {}}
    text = " ".join(texts.about(manifest, "x/Model.Q4_1.gguf"))
    assert "(Model.Q4_1.gguf)" in text
    assert "organism, `a`" in text
    assert "layers 3 to 4 alone" in text
    plain = " ".join(texts.about(manifest | {"organism": None}, None))
    assert "(hub)" in plain
    assert "organism" not in plain


@pytest.mark.parametrize(
    ("name", "layers", "said", "not_said"),
    [
        ("facts", [], "One adapter teaches the facts", "wrong answers"),
        ("naive", [], "Its one adapter teaches wrong answers", "One adapter teaches the facts"),
        ("late", [4], "A second one teaches the lie", "wrong answers"),
    ],
)
def test_the_page_says_what_each_kind_of_organism_was_taught(name, layers, said, not_said):
    manifest = {"source": "hub", "organism": {"name": name, "layers": layers}, "sizes": {}}
    text = " ".join(texts.about(manifest, None))
    assert said in text
    assert not_said not in text
    assert ("No adapter teaches a lie." in text) == (name == "facts")


def test_every_wording_is_listed_once_with_its_text():
    every = wordings.every(
        PatchConfig("honest", "liar", 25, "z"),
        ("neutral", ["neutral", "honest", "liar"]),
        GridConfig(("none", "liar"), {"short": "True? {statement}"}, {"plain": None}, 6),
        {"ask": {"prefix": "Sure."}},
    )
    rows = [(one.name, one.part) for one in every]
    assert len(rows) == len(set(rows))
    by_name = {(one.name, one.part): one for one in every}
    assert by_name["`none`", "system prompt"].use == "grid of wordings, the text of `neutral`"
    assert by_name["`ask`", "assistant prefill, both"].text == "“Sure.”"
    assert by_name["`plain`", "assistant prefill"].text == "“The statement is”"
