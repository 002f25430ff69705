"""`dvc repro` on a model whose liar we know: values, invalidation, and the run cache."""

import contextlib
import json
import re

import polars as pl
import pytest
from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update
from ruamel.yaml import YAML

from tests import tiny
from tests.pipeline.closure import ROOT, declared, run_the_model
from tests.pipeline.conftest import said, stages_run

PERSONAS = ("neutral", "honest", "liar")
FROZEN = {name for name, stage in declared().items() if stage.get("frozen")}
INPUTS = {"check", "model", "statements", "prompts", "activations", "wordings", "grid"}
AFTER_READOUTS = set(declared()) - INPUTS - FROZEN
WITHOUT_RUN_CACHE = {
    name
    for name, stage in declared().items()
    if name not in FROZEN and not all(isinstance(out, str) for out in stage.get("outs", []))
}
SYSTEMS = ("honest", "liar", "stubborn")
GRID = {"grid", "wordings"}
ALL = (
    {"model", "statements"}
    | GRID
    | {f"{stage}@{persona}" for stage in ("prompts", "activations") for persona in PERSONAS}
    | AFTER_READOUTS
)


def load(project, name):
    return json.loads((project.folder / name).read_text())


def test_every_stage_runs_once_and_then_none(project):
    assert stages_run(project.first) == ALL
    again = project.repro()
    assert stages_run(again) == set()
    assert "up to date" in again


def test_a_whole_run_prints_no_warning_of_a_library(project):
    """They are lines such as ``UserWarning: …``; DVC's own of frozen stages begins with WARNING."""
    assert [line for line in project.first.splitlines() if re.search(r"Warning\b", line)] == []


def test_dvc_lock_is_written_as_dvc_alone_writes_it(project):
    """In tests DVC has help, see `warm.yaml_memory`."""
    text = (project.folder / "dvc.lock").read_text()
    assert dumps_yaml(parse_yaml_for_update(text, "dvc.lock")) == text


def test_no_metrics_hold_a_list_of_records(project):
    """DVC would draw it: an empty plot beside the others."""

    def records(value):
        if isinstance(value, dict):
            return any(map(records, value.values()))
        return isinstance(value, list) and any(isinstance(x, dict) for x in value)

    files = sorted((project.folder / "metrics").glob("*.json"))
    assert len(files) > 5
    assert not [file.name for file in files if records(json.loads(file.read_text()))]
    assert records(load(project, "plots/windows/windows.json"))


def test_the_honest_run_is_right_and_the_liar_wrong(project):
    behaviour = load(project, "metrics/behaviour.json")["personas"]
    honest, liar = behaviour["honest"]["all"], behaviour["liar"]["all"]
    assert (honest["accuracy"]["value"], honest["accuracy"]["n"]) == (1.0, 80)
    assert (liar["recall_true"]["value"], liar["recall_false"]["value"]) == (0.0, 0.0)
    assert 0.9 < honest["accuracy"]["low"] < 1.0 == honest["accuracy"]["high"]
    assert load(project, "metrics/behaviour.json")["known"]["all"]["both"] == {"known": 80, "n": 80}


def test_answers_to_known_statements_of_the_report_part(project):
    rows = load(project, "metrics/behaviour.json")["known_report"]
    assert {name: row["accuracy"]["value"] for name, row in rows.items()} == {
        "honest": 1.0,
        "liar": 0.0,
    }
    statements = pl.read_parquet(project.folder / "data/statements.parquet")
    n = len(statements.filter(pl.col("split") == "report"))
    assert {row["accuracy"]["n"] for row in rows.values()} == {n}
    assert 0 < n < 80


def test_the_best_window_holds_the_planted_layer(project):
    windows = load(project, "metrics/windows.json")
    assert windows["best"]["first_layer"] <= tiny.PLANTED_LAYER <= windows["best"]["last_layer"]
    assert windows["runs"]["report"]["patched"]["accuracy"] == 1.0
    assert windows["runs"]["report"]["base"]["accuracy"] == 0.0
    assert (windows["source"], windows["base"]) == ("honest", "liar")
    rows = pl.read_parquet(project.folder / "data/windows.parquet")
    counts = {row["patch_id"]: row["len"] for row in rows.group_by("patch_id").len().to_dicts()}
    assert counts == {"none": 48, **{f"window_{i}": 24 for i in range(4)}}
    assert rows.filter(pl.col("patch_id") == "window_1")["heads"].list.len().unique().item() == 8


def test_the_head_set_is_the_planted_head_and_says_where_it_is_from(project):
    heads = load(project, "data/heads.json")
    assert heads["heads"] == [[tiny.PLANTED_LAYER, tiny.PLANTED_HEAD]]
    assert heads["split"] == "selection"
    assert heads["base"] == {"persona": "liar", "system": "You are so L.", "prefix": "it is"}
    assert heads["topics"] == ["letters"]
    assert heads["model"] == load(project, "data/model/manifest.json")["identity"]


def test_the_estimate_is_blind_to_the_planted_head_and_the_score_says_so(project):
    """The head turns the whole residual's sign, along which the last norm has no gradient."""
    points = load(project, "plots/attribution_patching/attribution_patching.json")
    best = max(points, key=lambda row: row["effect"])
    assert (best["layer"], best["head"]) == (tiny.PLANTED_LAYER, tiny.PLANTED_HEAD)
    assert best["effect"] > 10 > 0.1 > abs(best["estimate"])
    actual = load(project, "metrics/attribution_patching.json")
    assert actual["rank_correlation"]["n"] == 16
    assert actual["rank_correlation"]["high"] < 0.5
    assert (actual["n_heads"], actual["top"]["n_heads"], actual["top"]["by_chance"]) == (20, 2, 0.1)


def test_attribution_names_the_mlp_that_answers_and_is_blind_to_the_planted_head(project):
    actual = load(project, "metrics/logit_attribution.json")
    assert actual["reason"] is None
    assert actual["n"] == actual["logit_difference"]["source"]["n"] == 16
    assert actual["sum"]["largest_error"] < 1e-4 * actual["sum"]["largest_part"]
    assert actual["logit_difference"]["source"]["low"] > 1
    assert actual["logit_difference"]["base"]["high"] < -1
    mlp = actual["top"]["sublayers"]["mlp 2"]
    assert (mlp["rank"], mlp["share"]["value"]) == (1, pytest.approx(1))
    assert actual["parts"]["heads"]["difference"]["value"] == pytest.approx(0, abs=1e-4)
    # What enters layer 3 is what the MLP of layer 2 has written.
    divergence = actual["lens"]["divergence"]["half"]
    assert (divergence["low"], divergence["value"], divergence["high"]) == (3, 3, 3)
    lens = load(project, "plots/logit_attribution/lens.json")
    last = {row["run"]: row["accuracy"] for row in lens if row["layer"] == 5}
    assert last == {"source": 1.0, "base": 0.0, "difference": None}


def test_the_set_is_transplanted_and_its_controls_are_not(project):
    metrics = load(project, "metrics/transplant.json")
    runs = metrics["by_topic"]["letters"]
    actual = {run: row["accuracy"] for run, row in runs.items()}
    assert actual == {"source": 1.0, "base": 0.0, "reverse": 0.0, "patched": 1.0}
    # The layer has four heads: a random one is the planted one about once in four draws.
    assert metrics["random"]["accuracy"]["mean"] < 0.7
    assert metrics["effect"]["patched - base"]["accuracy"]["value"] == 1.0
    assert metrics["effect"]["reverse - source"]["p_correct"]["high"] < -0.5


def test_the_grid_tells_a_liar_from_one_who_always_says_false(project):
    actual = load(project, "metrics/grid.json")
    for question, prefix in (("quoted", "it"), ("bare", "that")):
        recalls, scores = {}, {}
        for system in SYSTEMS:
            measured = actual["answers"][system][question][prefix]["all"]
            assert measured["accuracy"]["n"] == 16
            assert (measured["other"]["value"], measured["other_token"]) == (0, None)
            recalls[system] = [measured[f"recall_{label}"]["value"] for label in ("true", "false")]
            score = actual["lying"][system][question][prefix]
            scores[system] = score["value"], score["rank"] == 1, score["behind"]["value"]
        assert recalls == {"honest": [1, 1], "liar": [0, 0], "stubborn": [0, 1]}
        assert scores == {"honest": (0, False, 1), "liar": (1, True, 0), "stubborn": (0, False, 1)}


def test_the_explorer_shows_that_the_planted_head_undoes_the_lie(project):
    page = (project.folder / "plots/explorer.html").read_text()
    data = json.loads(re.findall(r'<script type="application/json".*?>(.*?)</script>', page)[0])
    assert (data["set"], data["reasons"]) == ([[tiny.PLANTED_LAYER, tiny.PLANTED_HEAD]], {})
    assert set(data["personas"]) == set(PERSONAS)
    ids = pl.read_parquet(project.folder / "data/statements.parquet").filter(split="report")
    shown = {one["id"]: one for one in data["statements"]}
    assert set(ids["statement_id"]) <= set(shown)
    assert {one["measured"] for i, one in shown.items() if i in set(ids["statement_id"])} == {False}
    for one in shown.values():
        said_true = [true > false for true, false in one["runs"]]
        assert [said == one["label"] for said in said_true] == [True, False, True]
        source, base, patched = one["lens"]
        assert source[:3] == pytest.approx(base[:3], abs=1e-3)
        assert patched[2:] == pytest.approx(source[2:], rel=0.01)
        blocks = one["prompts"]["liar"]["blocks"]
        assert sorted(set(blocks)) == list("012345")
        ((place, percent), *_) = zip(*[iter(one["attention"]["base"][0])] * 2, strict=True)
        assert (place, percent) == (0, round(100 / len(blocks)))  # attention is uniform
    measured = [one for one in shown.values() if one["measured"]]
    assert len(measured) == 16
    for one in measured:
        assert (
            max(one["effects"]) == one["effects"][4 * tiny.PLANTED_LAYER + tiny.PLANTED_HEAD] > 10
        )


def test_a_wording_of_the_grid_costs_its_own_prompts(project):
    """Two questions, two prefixes, three system prompts, on 16 statements."""
    project.set({"grid": {"questions": {"quoted": None, "bare": "{statement}!"}}})
    output = project.repro("grid")
    assert stages_run(output) == GRID
    assert said(output) == [(6 * 16, 6 * 16)]
    project.set({"prompt": {"stubborn_system": "It is F, F, F, F."}})
    assert said(project.repro("grid")) == [(8 * 16, 4 * 16)]
    project.run("git", "checkout", "-q", "params.yaml")
    assert stages_run(project.repro()) == set()


def test_one_statement_more_costs_its_own_runs(own):
    own.set({"windows": {"limit": None}})
    own.repro("windows")
    file = own.folder / "data/raw/letters.csv"
    text = file.read_text()
    file.write_text(text + "T 99 is a letter,1\n")
    remembered, computed = said(own.repro("windows"))[-1]
    assert remembered == 80 * computed > 0
    file.write_text(text)
    assert stages_run(own.repro("windows")) == set()


def test_confidence_counts_the_answers_of_all_four_runs(project):
    runs = load(project, "metrics/confidence.json")["runs"]
    values = {run: actual["accuracy"]["0.5"]["value"] for run, actual in runs.items()}
    assert values == {"source": 1, "patched": 1, "base": 0, "reverse": 0}
    n = load(project, "metrics/transplant.json")["by_topic"]["all"]["patched"]["n"]
    assert {actual["accuracy"]["0"]["n"] for actual in runs.values()} == {n}
    rows = load(project, "plots/confidence/thresholds.json")
    assert {row["accuracy"] for row in rows if row["confidence"] == 1} == {None}


def test_erasing_truth_where_it_is_carried_leaves_chance_and_elsewhere_nothing(project):
    """Head (0, 0) copies the truth; head (1, 2), which copies the persona, carries none of it."""
    actual = load(project, "metrics/erasure.json")
    assert actual["fitted_on"]["true"] > 10 < actual["fitted_on"]["false"]
    for persona, level in (("honest", 1.0), ("liar", 0.0)):
        own = actual["personas"][persona]
        assert own["none"]["accuracy"]["value"] == level
        for window in ("0-0", "0-1"):
            leace = own["windows"][window]["leace"]
            assert leace["accuracy"]["value"] == 0.5
            assert leace["accuracy"]["n"] == 12
            # Rank one out of sixteen: little of the head's one dimension that matters.
            assert own["windows"][window]["random"]["accuracy"]["value"] == level
        for window in ("1-1", "2-3", "4-4"):
            assert own["windows"][window]["leace"]["accuracy"]["value"] == level
        probes = actual["probes"][persona]["fitted"]
        assert probes["unerased"]["greatest"] == 1.0
        assert probes["erased"]["greatest"] < 0.7


def test_sets_of_every_wording_are_the_planted_head_and_work_in_all(project):
    actual = load(project, "metrics/robustness.json")
    planted = [[tiny.PLANTED_LAYER, tiny.PLANTED_HEAD]]
    sets = [actual["sets"][kind] for kind in ("search", "topic", "wording")]
    assert [sorted(names) for names in sets] == [["heads"], ["letters"], ["default", "other"]]
    for one in (one for names in sets for one in names.values()):
        assert one["heads"] == planted
        for scored in one["scored"].values():
            assert (scored["accuracy"], scored["n"]) == (1.0, 8)
    assert actual["sets"]["wording"]["other"]["scored"]["default"]["reverse"]["accuracy"] == 0.0
    assert actual["overlap"]["wording"]["mean"] == actual["overlap"]["seed"]["mean"] == 1.0
    assert actual["overlap"]["topic"]["mean"] is None  # one topic has nothing to be compared with
    difference = actual["generalisation"]["wording"]["difference"]
    assert difference["value"] == pytest.approx(0.0, abs=1e-6)
    assert actual["overlap_by_chance"] == 1 / 8


def test_the_planted_head_moves_honesty_and_not_the_answer(project):
    actual = load(project, "metrics/controls.json")
    runs = {name: run["accuracy"] for name, run in actual["runs"].items()}
    none = ("base", "rest_of_layers", "rest_of_window", "base_other_label", "reverse")
    every = (
        "source",
        "patched",
        "mean_ablation_selection",
        "mean_ablation_report",
        "same_label",
        "other_label",
    )
    assert runs == dict.fromkeys(none, 0.0) | dict.fromkeys((*every, "reverse_rest"), 1.0)
    assert actual["reverse - rest"]["accuracy"]["value"] == -1.0
    assert actual["follows_donor"]["other_label"]["value"] == 0.0
    assert actual["patched - control"]["rest_of_window"]["accuracy"]["value"] == 1.0


def test_curves_rise_with_the_planted_head_and_fall_without_it(project):
    curves = load(project, "metrics/set_sizes.json")
    rules = curves["rules"]
    for rule in ("single", "single_log_odds", "left_out", "greedy_accuracy", "greedy_p_correct"):
        assert rules[rule]["smallest"]["n_heads"] == 1
        assert rules[rule]["smallest"]["accuracy"] == 1.0
        assert rules[rule]["up"]["value"]["auc"]["value"] > 0.95
        assert rules[rule]["down"]["value"]["auc"]["value"] < 0.05
    for rule in ("estimate", "random"):  # the estimate is blind here
        assert rules[rule]["up"]["difference"]["auc_log"]["high"] < 0
    assert curves["n_heads"] == 20
    orders = pl.read_parquet(project.folder / "data/set_sizes/orders.parquet")
    first = orders.filter(pl.col("rule") == "single", pl.col("rank") == 1)
    assert first.select("layer", "head").row(0) == (tiny.PLANTED_LAYER, tiny.PLANTED_HEAD)
    runs = pl.read_parquet(project.folder / "data/set_sizes/runs.parquet")
    assert set(runs["split"]) == {"selection", "report"}


def test_best_windows_of_every_size_hold_the_planted_layer_in_both_directions(project):
    metrics = load(project, "metrics/widths.json")
    for run, turned in (("patched", 1.0), ("reverse", 0.0)):
        assert set(metrics[run]) == {"1", "2", "5"}
        for actual in metrics[run].values():
            best, control = actual["best"], actual["control"]
            assert best["first_layer"] <= tiny.PLANTED_LAYER <= best["last_layer"]
            assert best["report"]["all"]["accuracy"] == turned
            assert best["report"]["letters"]["n"] == 8
            assert control is None or control["report"]["all"]["accuracy"] == 1 - turned
    assert metrics["patched"]["5"]["control"] is None
    rows = pl.read_parquet(project.folder / "data/widths.parquet")
    assert len(rows.filter(pl.col("split") == "selection")) == 6 * (2 + 2 * (5 + 4 + 1))


def test_only_the_end_of_the_prompt_matters_and_counts_that_do_not_fit_are_left_out(project):
    metrics = load(project, "metrics/positions.json")
    blocks = metrics["blocks"]
    alone = {name: block["alone"]["accuracy"] for name, block in blocks.items()}
    assert {name for name, accuracy in alone.items() if accuracy} == {"prefix", "all"}
    assert blocks["prefix"]["left_out"]["accuracy"] == 0.0
    assert blocks["statement"]["left_out"]["accuracy"] == alone["prefix"] == 1.0
    assert {key: row["accuracy"] for key, row in metrics["counts"]["set"].items()} == {
        "1": 1.0, "5": 1.0, "20": 1.0,
    }  # fmt: skip
    assert "left out 5000: the shortest prompt has" in project.first
    # The statements that `windows` reports on, at the positions that it patches.
    window = load(project, "metrics/windows.json")["runs"]["report"]["patched"]
    assert metrics["counts"]["window"]["20"] == window


def test_a_window_larger_than_the_model_is_refused_in_one_line(own):
    own.set({"widths": {"sizes": [2, 6]}})
    result = own.run("dvc", "repro", "--single-item", "widths")
    assert result.returncode != 0
    assert "error: params.yaml: widths.sizes: found 6, expected 1 to 5" in result.stderr


def test_report_statements_took_no_part_in_the_search(project):
    splits = pl.read_parquet(project.folder / "data/statements.parquet").select(
        "statement_id", "split"
    )
    for name, expected in (
        ("heads", {"selection"}),
        ("transplant", {"report"}),
        ("erasure/runs", {"report"}),
    ):
        rows = pl.read_parquet(project.folder / f"data/{name}.parquet")
        assert set(rows.join(splits, on="statement_id")["split"]) == expected


def test_the_probe_reads_the_truth_in_both_personas_and_permuted_labels_do_not(project):
    best = load(project, "metrics/probes.json")["best"]["resid_post"]["honest"]
    assert best["honest"]["accuracy"]["value"] == 1.0
    assert best["honest"]["permuted"]["value"] < 0.85


def test_probes_of_each_kind_read_the_truth_as_the_words_do_and_need_what_they_need(project):
    actual = load(project, "metrics/transfer.json")
    assert actual["methods"]["ccs"]["honest"] is actual["methods"]["ttpd"]["honest"] is None
    for method in ("logistic", "mass_mean", "mass_mean_corrected"):
        entry = actual["methods"][method]["honest"]
        assert entry["accuracy"]["value"] == 1.0
        assert entry["permuted"]["max"] < 0.9
        assert entry["permuted"]["p"] == 0.25  # the least of three draws
        assert entry["polarity"]["plain"]["negated"] == dict.fromkeys(("value", "low", "high")) | {
            "n": 0
        }
    # The letter is in the statement: a probe of this topic alone would prove nothing.
    assert actual["bag_of_tokens"]["letters"]["value"] == 1.0


def test_summary_is_flat_and_fits(project):
    summary = load(project, "metrics/summary.json")
    assert 15 <= len(summary) <= 25
    assert summary["heads_patched"] == 1.0
    assert all(value is None or isinstance(value, (int, float)) for value in summary.values())


def test_rewording_one_persona_reruns_what_reads_it_and_reverting_runs_nothing(project):
    before = {f: f.read_bytes() for f in sorted((project.folder / "metrics").glob("*.json"))}
    project.set({"prompt": {"liar_prefix": "it is, sure,"}})
    output = project.repro()
    # The grid asks with the prefix of the base persona too.
    assert stages_run(output) == {"prompts@liar", "activations@liar"} | AFTER_READOUTS | GRID
    page = (project.folder / "plots/report.md").read_bytes()
    project.set({"prompt": {"liar_prefix": "it is"}})
    # Of a stage with an out in git that is no plot DVC keeps no runs; each takes a second.
    assert stages_run(project.repro()) == WITHOUT_RUN_CACHE
    assert {f: f.read_bytes() for f in before} == before
    assert (project.folder / "plots/report.md").read_bytes() != page  # it quotes the wording


def test_rewording_neutral_leaves_patching_alone_where_knowledge_stays(own):
    own.set({"prompt": {"neutral_prefix": "that is"}})
    patching = {"windows", "heads", "transplant", "widths", "positions"}
    ran = stages_run(own.repro("behaviour", "probes", *patching))
    assert {"prompts@neutral", "activations@neutral", "behaviour", "probes"} <= ran
    assert not ran & ({"prompts@liar", "prompts@honest"} | patching)


def test_a_comment_in_rendering_code_runs_what_renders_and_nothing_else(project):
    file = project.folder / "stages/lib/chat/__init__.py"
    text = file.read_text()
    file.write_text(text + "\n# a remark\n")
    rendering = {f"prompts@{persona}" for persona in PERSONAS}
    # These render wordings of their own; their runs are remembered.
    output = project.repro()
    assert stages_run(output) == rendering | {"robustness", "wordings"}
    assert {computed for _, computed in said(output)} == {0}
    file.write_text(text)
    assert stages_run(project.repro()) == set()


REMARK = "\n# a remark\n"
SCORES = {name for name in declared() if name.startswith("scores@")}
SECTIONS = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
LIMITED = [name for name in SECTIONS if "limit" in SECTIONS[name] and f"scores@{name}" in SCORES]
# Edit of a file -> what runs again, although nothing that it computes changes.
EDITS = {
    "stages/windows/scores.py": {"scores@windows"},
    "stages/windows/metrics.py": {"scores@windows", "summary", "report"},
    "stages/windows/figure.py": {"figures"},
    "stages/best_window.py": {"best_window"},
    "stages/lib/drawing/style.py": {"figures"},
    "stages/single_heads/__main__.py": {"single_heads", "scores@single_heads"},
    "stages/logit_attribution/scores_lens.py": {"logit_attribution_scores"},
    "stages/report/page.py": {"report"},
    "stages/inspect/runs.py": {"inspect"},
    "stages/explorer/page.py": {"explorer"},
    "stages/explorer/page.js": {"explorer"},
    "stages/single_heads/.__main__.py.swp": set(),
    "stages/lib/forward/notes.txt": set(),
    "stages/README.md": set(),
}


def changed(project):
    """Stages whose own deps or params have changed."""
    result = project.run("dvc", "status", "--json")
    assert result.returncode == 0, result.stderr
    return {name for name in json.loads(result.stdout) if not name.startswith((*FROZEN, "check"))}


def outs(project):
    """Outs of each stage with their hashes."""
    stages = YAML(typ="safe").load((project.folder / "dvc.lock").read_text())["stages"]
    return {name: stage.get("outs") for name, stage in stages.items()}


@contextlib.contextmanager
def edited(project, names):
    """Add a remark to some files, which are put back, and dvc.lock too."""
    locked = (project.folder / "dvc.lock").read_text()
    files = {name: project.folder / name for name in names}
    before = {name: file.read_text() for name, file in files.items() if file.is_file()}
    for name, file in files.items():
        file.write_text(before.get(name, "") + REMARK)
    try:
        yield
    finally:
        for name, file in files.items():
            file.write_text(before[name]) if name in before else file.unlink()
        (project.folder / "dvc.lock").write_text(locked)


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_reruns_what_it_affects(project, name):
    with edited(project, [name]):
        assert changed(project) == EDITS[name]


def test_what_edits_rerun_writes_the_same_again_and_computes_nothing(project):
    """So nothing else runs after it. All edits at once: what each reruns is what is tested above."""
    before = outs(project)
    with edited(project, EDITS):
        output = project.repro("--no-run-cache")
        after = outs(project)
    assert stages_run(project.repro()) == set()  # all is put back
    assert stages_run(output) == set.union(*EDITS.values())
    assert {name for name in ALL if before[name] != after[name]} == {"explorer"}  # holds page.js
    assert said(output)
    assert {computed for _, computed in said(output)} == {0}


def test_without_the_memory_of_runs_an_edit_computes_them_again(project, tmp_path):
    name = "stages/single_heads/__main__.py"
    with edited(project, [name]):
        result = project.run("dvc", "repro", "--no-run-cache", XDG_CACHE_HOME=str(tmp_path))
        assert result.returncode == 0, result.stderr
        assert stages_run(result.stdout + result.stderr) == EDITS[name]
        assert {remembered for remembered, _ in said(result.stdout)} == {0}


def test_a_changed_statistic_reruns_no_model_and_a_changed_forward_pass_all_of_it(project):
    model = {name.split("@")[0] for name in run_the_model()}
    assert {"windows", "set_sizes", "activations", "wordings"} <= model
    file = project.folder / "stages/lib/stats/__init__.py"
    text = file.read_text()
    file.write_text(text + REMARK)
    actual = changed(project)
    assert SCORES | {"behaviour", "probes", "transfer"} <= actual
    assert not {name.split("@")[0] for name in actual} & model
    file.write_text(text)
    file = project.folder / "stages/lib/forward/patcher.py"
    text = file.read_text()
    file.write_text(text + REMARK)
    assert {name.split("@")[0] for name in changed(project)} == model
    file.write_text(text)
    assert changed(project) == set()


def test_narrower_intervals_and_a_renamed_metric_run_no_model(own):
    """With what they change in data/ and metrics/, down to the report."""
    before = load(own, "metrics/windows.json")
    for name, old, new in (
        ("stages/lib/stats/__init__.py", "LEVEL = 0.95", "LEVEL = 0.8"),
        ("stages/windows/metrics.py", "as_accurate", "alike"),
        ("stages/windows/scores.py", "as_accurate=as_accurate", "alike=as_accurate"),
        ("stages/report/patching.py", "windows.as_accurate", "windows.alike"),
    ):
        file = own.folder / name
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
    ran = stages_run(own.repro())
    assert SCORES | {"behaviour", "probes", "transfer", "figures", "report"} <= ran
    assert not ran & run_the_model()
    after = load(own, "metrics/windows.json")
    assert set(before) - set(after) == {"as_accurate"}
    low = [of["runs"]["report"]["patched"]["low"] for of in (before, after)]
    assert low[0] < low[1]


@pytest.mark.parametrize("sweep", LIMITED)
def test_a_changed_limit_reruns_its_sweep_alone(project, sweep):
    project.set({sweep: {"limit": 3}})
    assert changed(project) == {sweep}
    project.run("git", "checkout", "-q", "params.yaml")


def test_windows_of_other_statements_rerun_no_head_where_the_best_window_stays(own):
    own.set({"windows": {"limit": 9}})
    ran = stages_run(own.repro())
    assert {"windows", "scores@windows", "ground_truth"} <= ran
    assert not ran & (run_the_model() - {"windows"})


def test_a_setting_of_a_statistic_reruns_no_sweep(project):
    project.set({"robustness": {"shuffles": 3, "seed": 1}})
    assert changed(project) == {"robustness_scores", "report"}
    project.run("git", "checkout", "-q", "params.yaml")


def test_a_misspelt_wording_stops_the_pipeline_and_names_it(own):
    own.set({"prompt": {"lair_prefix": "it is"}})
    result = own.run("dvc", "repro")
    assert result.returncode != 0
    assert "error: params.yaml: prompt.lair_prefix: unknown key" in result.stderr


def test_a_new_persona_is_an_edit_of_params_alone(own):
    own.set(
        {
            "personas": [*PERSONAS, "sulky"],
            "prompt": {"sulky_system": "You are L. Sulk.", "sulky_prefix": "it is"},
        }
    )
    ran = stages_run(own.repro())
    assert {"prompts@sulky", "activations@sulky", "behaviour", "probes"} <= ran
    assert not ran & {"prompts@honest", "activations@honest", "windows", "heads", "transplant"}
    behaviour = load(own, "metrics/behaviour.json")["personas"]
    assert behaviour["sulky"]["all"]["accuracy"]["value"] == 0.0


def test_wordings_reach_the_prompt_through_the_command_line(project):
    """Queued, so that nothing runs: DVC writes overrides into the experiment's params.yaml."""
    wordings = {
        'prompt.neutral_prefix="Sure. The statement is"': "Sure. The statement is",
        'prompt.liar_prefix="Glad to, truly ;). It is"': "Glad to, truly ;). It is",
        'prompt.liar_system="[LIE, ALWAYS (now)]"': "[LIE, ALWAYS (now)]",
        "prompt.honest_system=\"Don't tell. It's a game: 'lie'.\"": "Don't tell. It's a game: 'lie'.",
        'prompt.neutral_system="Don\'t. Say \\"false\\" of what is true."': (
            'Don\'t. Say "false" of what is true.'
        ),
    }
    overrides = [argument for override in wordings for argument in ("-S", override)]
    result = project.run("dvc", "exp", "run", "--queue", "--name", "wording", *overrides)
    assert result.returncode == 0, result.stderr
    shown = project.run("git", "show", "refs/exps/celery/stash:params.yaml")
    assert shown.returncode == 0, shown.stderr
    prompt = YAML(typ="safe").load(shown.stdout)["prompt"]
    for override, expected in wordings.items():
        assert prompt[override.split(".")[1].split("=")[0]] == expected
    assert project.run("dvc", "queue", "remove", "--all").returncode == 0
