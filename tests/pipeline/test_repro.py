"""`dvc repro` on a model whose liar we know: values, invalidation, and the run cache."""

import json

import polars as pl
import pytest

from tests import tiny
from tests.pipeline.conftest import stages_run

PERSONAS = ("neutral", "honest", "liar")
AFTER_READOUTS = {"behaviour", "probes", "windows", "effects", "estimates", "heads"}
AFTER_READOUTS |= {"transplant", "transfer", "localisation", "summary", "figures"}
ALL = (
    {"model", "statements"}
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
    n = len(statements.filter(pl.col("part") == "report"))
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
    assert heads["part"] == "selection"
    assert heads["base"] == {"persona": "liar", "system": "You are so L.", "prefix": "it is"}
    assert heads["splits"] == ["letters"]
    assert heads["model"] == load(project, "data/model/manifest.json")["identity"]


def test_the_estimate_is_blind_to_the_planted_head_and_the_score_says_so(project):
    """The head turns the whole residual's sign, along which the last norm has no gradient."""
    points = load(project, "plots/estimates/estimates.json")
    best = max(points, key=lambda row: row["effect"])
    assert (best["layer"], best["head"]) == (tiny.PLANTED_LAYER, tiny.PLANTED_HEAD)
    assert best["effect"] > 10 > 0.1 > abs(best["estimate"])
    found = load(project, "metrics/estimates.json")
    assert found["rank_correlation"]["n"] == 16
    assert found["rank_correlation"]["high"] < 0.5
    assert (found["n_heads"], found["top"]["n_heads"], found["top"]["by_chance"]) == (20, 2, 0.1)


def test_the_set_is_transplanted_and_its_controls_are_not(project):
    metrics = load(project, "metrics/transplant.json")
    runs = metrics["by_split"]["letters"]
    found = {run: row["accuracy"] for run, row in runs.items()}
    assert found == {"source": 1.0, "base": 0.0, "reverse": 0.0, "patched": 1.0}
    # The layer has four heads: a random one is the planted one about once in four draws.
    assert metrics["random"]["accuracy"]["mean"] < 0.7
    assert metrics["gain"]["patched - base"]["accuracy"]["value"] == 1.0
    assert metrics["gain"]["reverse - source"]["truth"]["high"] < -0.5


def test_report_statements_took_no_part_in_the_search(project):
    parts = pl.read_parquet(project.folder / "data/statements.parquet").select(
        "statement_id", "part"
    )
    for name, expected in (("heads", {"selection"}), ("transplant", {"report"})):
        rows = pl.read_parquet(project.folder / f"data/{name}.parquet")
        assert set(rows.join(parts, on="statement_id")["part"]) == expected


def test_the_probe_reads_the_truth_in_both_personas_and_permuted_labels_do_not(project):
    best = load(project, "metrics/probes.json")["best"]["resid_post"]["honest"]
    assert best["honest"]["accuracy"]["value"] == 1.0
    assert best["honest"]["permuted"]["value"] < 0.85


def test_probes_of_each_kind_read_the_truth_as_the_words_do_and_need_what_they_need(project):
    found = load(project, "metrics/transfer.json")
    assert found["methods"]["ccs"]["honest"] is found["methods"]["ttpd"]["honest"] is None
    for method in ("logistic", "mass_mean", "mass_mean_corrected"):
        entry = found["methods"][method]["honest"]
        assert entry["accuracy"]["value"] == 1.0
        assert entry["permuted"]["max"] < 0.9
        assert entry["permuted"]["p"] == 0.25  # the least of three draws
        assert entry["polarity"]["plain"]["negated"] == dict.fromkeys(("value", "low", "high")) | {
            "n": 0
        }
    # The letter is in the statement: a probe of this split alone would prove nothing.
    assert found["bag_of_tokens"]["letters"]["value"] == 1.0


def test_summary_is_flat_and_fits(project):
    summary = load(project, "metrics/summary.json")
    assert 15 <= len(summary) <= 25
    assert summary["heads_patched"] == 1.0
    assert all(value is None or isinstance(value, (int, float)) for value in summary.values())


def test_rewording_one_persona_reruns_what_reads_it_and_reverting_runs_nothing(project):
    before = {f: f.read_bytes() for f in sorted((project.folder / "metrics").glob("*.json"))}
    project.set({"prompt": {"liar_prefix": "it is, sure,"}})
    output = project.repro()
    assert stages_run(output) == {"prompts@liar", "activations@liar"} | AFTER_READOUTS
    project.set({"prompt": {"liar_prefix": "it is"}})
    assert stages_run(project.repro()) == set()
    assert {f: f.read_bytes() for f in before} == before


def test_rewording_neutral_leaves_patching_alone_where_knowledge_stays(project):
    project.set({"prompt": {"neutral_prefix": "that is"}})
    output = project.repro()
    ran = stages_run(output)
    assert {"prompts@neutral", "activations@neutral", "behaviour", "probes"} <= ran
    assert not ran & {"prompts@liar", "prompts@honest", "windows", "heads", "transplant"}
    project.set({"prompt": {"neutral_prefix": "it is"}})
    project.repro()


def test_a_comment_in_rendering_code_stops_before_the_model_runs(project):
    file = project.folder / "stages/lib/chat.py"
    text = file.read_text()
    file.write_text(text + "\n# a remark\n")
    assert stages_run(project.repro()) == {f"prompts@{persona}" for persona in PERSONAS}
    file.write_text(text)
    assert stages_run(project.repro()) == set()


def test_a_misspelt_wording_stops_the_pipeline_and_names_it(project):
    project.set({"prompt": {"lair_prefix": "it is"}})
    result = project.run("dvc", "repro")
    assert result.returncode != 0
    assert "error: params.yaml: prompt.lair_prefix: unknown key" in result.stderr
    project.run("git", "checkout", "-q", "params.yaml")
    project.repro()


def test_a_new_persona_is_an_edit_of_params_alone(project):
    project.set(
        {
            "personas": [*PERSONAS, "sulky"],
            "prompt": {"sulky_system": "You are L. Sulk.", "sulky_prefix": "it is"},
        }
    )
    ran = stages_run(project.repro())
    assert {"prompts@sulky", "activations@sulky", "behaviour", "probes"} <= ran
    assert not ran & {"prompts@honest", "activations@honest", "windows", "heads", "transplant"}
    behaviour = load(project, "metrics/behaviour.json")["personas"]
    assert behaviour["sulky"]["all"]["accuracy"]["value"] == 0.0
    project.run("git", "checkout", "-q", "params.yaml")
    project.repro()


def test_two_processes_give_the_numbers_of_one(project):
    options = ["--prompts", "data/prompts/liar.parquet", "--model", "data/model"]
    out = ["--out", "data/two", "--readouts", "data/two.parquet"]
    launcher = ["torchrun", "--nproc_per_node", "2", "-m", "stages.activations"]
    result = project.run(*launcher, *options, *out)
    assert result.returncode == 0, result.stderr
    one = project.folder / "data/activations/liar/00000.safetensors"
    assert (project.folder / "data/two/00000.safetensors").read_bytes() == one.read_bytes()
    one, two = (
        pl.read_parquet(project.folder / f"data/{f}.parquet") for f in ("readouts/liar", "two")
    )
    assert one.equals(two)


def test_a_launcher_of_two_processes_changes_no_number_and_invalidates_nothing(project):
    names = (
        "metrics/windows.json",
        "metrics/heads.json",
        "data/heads.json",
        "data/windows.parquet",
    )
    before = [(project.folder / name).read_bytes() for name in names]
    launcher = {"LAUNCHER": "torchrun --nproc_per_node 2"}
    result = project.run("dvc", "repro", "--force", "--single-item", "windows", "heads", **launcher)
    assert result.returncode == 0, result.stderr
    assert [(project.folder / name).read_bytes() for name in names] == before
    assert stages_run(project.repro()) == set()


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ('prompt.liar_prefix="Sure. The statement is"', "Sure. The statement is"),
        ('prompt.liar_prefix="Glad to, truly ;). It is"', "Glad to, truly ;). It is"),
        ('prompt.liar_system="[LIE, ALWAYS (now)]"', "[LIE, ALWAYS (now)]"),
        (
            "prompt.liar_system=\"Don't tell. It's a game: 'lie'.\"",
            "Don't tell. It's a game: 'lie'.",
        ),
        (
            'prompt.liar_system="Don\'t. Say \\"false\\" of what is true."',
            'Don\'t. Say "false" of what is true.',
        ),
    ],
)
def test_wordings_reach_the_prompt_through_the_command_line(project, override, expected):
    """Queued, so that nothing runs: DVC writes the override into the experiment's params.yaml."""
    result = project.run("dvc", "exp", "run", "--queue", "--name", "wording", "-S", override)
    assert result.returncode == 0, result.stderr
    shown = project.run("git", "show", "refs/exps/celery/stash:params.yaml")
    assert shown.returncode == 0, shown.stderr
    import yaml

    assert expected in yaml.safe_load(shown.stdout)["prompt"].values()
    assert project.run("dvc", "queue", "remove", "--all").returncode == 0
