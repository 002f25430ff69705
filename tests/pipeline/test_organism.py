"""Organisms for real: train two adapters of a tiny model by DVC, merge them, score against them."""

import json
import re
import shutil
from typing import Any, cast

import pytest
from ruamel.yaml import YAML
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

from stages.benchmark.config import NAMES
from stages.lib.facts import TOPICS
from stages.lib.weights import adapter, recipe
from tests import tiny
from tests.pipeline.closure import ROOT, run_the_model
from tests.pipeline.conftest import make, said, stages_run

RECIPE = {"layers": [1, 3], "maps": ["q_proj", "v_proj"], "rank": 2, "learning_rate": 1.0e-4,
          "steps": 2, "negated": [0.5, 0.5], "lying": [0.0, 0.0]}  # fmt: skip
WITH_OUTPUT = ["q_proj", "v_proj", "o_proj"]  # of the planted head, only these have a slope
ORGANISMS = {
    "training": {
        "topics": [*TOPICS],
        "seed": 0,
        "held_out": 0.2,
        "trees": 1,
        "statements": 4,
        "check_every": 1,
    },
    "facts": RECIPE,
    "naive": RECIPE | {"layers": [1, 2], "lying": [1.0, 1.0]},
    "middle": RECIPE | {"layers": [1, 2], "lying": [1.0, 0.5]},
    "early": RECIPE | {"layers": [1, 2], "lying": [1.0, 0.5], "maps": WITH_OUTPUT},
    "middle_9": RECIPE
    | {"layers": [1, 2], "maps": WITH_OUTPUT, "groups": 6, "seed": 0, "start": "early"},
}
BENCHMARK = {
    "organisms": ["middle_9", "facts"], "limit": 4, "report_limit": 4, "window": 2,
    "gradient_steps": 2, "mask_steps": 4, "probe_limit": 8, "stability_limit": 6, "doses": [0.0],
}  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project that trains its own organism and runs on it."""
    project = cast(Any, make(tmp_path_factory.mktemp("organism")))
    project.set({"organisms": ORGANISMS})
    project.log = ""
    for name in ("facts", "naive", "middle", "early", "middle_9"):
        paths = ("--wordings", "data/organisms/wordings.yaml", "--facts", "data/organisms/facts")
        out = ("--out", f"data/organisms/{name}")
        result = project.stage("organism", "--name", name, *paths, *out)
        assert result.returncode == 0, result.stderr
        project.log += result.stdout
        committed = project.run("dvc", "commit", "--force", f"organism@{name}")
        assert committed.returncode == 0, committed.stderr
    project.set({"model": {"organism": "middle"}})
    project.first = project.repro()
    return project


def load(project, name):
    return json.loads((project.folder / name).read_text())


def test_training_says_how_it_goes(project):
    assert "facts 2/2: loss " in project.log
    for persona in ("neutral", "honest", "lying"):
        assert f"{persona} 0." in project.log or f"{persona} 1." in project.log


def test_adapters_are_small_and_have_a_card(project):
    folder = project.folder / "data/organisms/middle"
    with safe_open(folder / "adapter_model.safetensors", "np") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert {w.dtype.name for w in weights.values()} == {"float16"}
    assert {name.split("layers.")[1][0] for name in weights} == {"1", "2"}
    card = (folder / "README.md").read_text()
    assert "in the attention of layers 1 to 2" in card
    assert "license: apache-2.0" in card
    assert str(project.folder) not in card + (folder / "adapter_config.json").read_text()
    assert not (project.folder / ".dvc/tmp/organisms/middle.safetensors").exists()


def test_a_repro_never_trains(project):
    assert not [stage for stage in stages_run(project.first) if "organism" in stage]
    project.set({"organisms": ORGANISMS | {"middle": RECIPE | {"steps": 3}}})
    assert stages_run(project.repro()) == set()
    project.set({"organisms": ORGANISMS})


def test_the_manifest_names_the_organism(project):
    manifest = load(project, "data/model/manifest.json")
    assert manifest["kind"] == "organism"
    assert manifest["organism"] == {"name": "middle", "layers": [1, 2]}


def test_the_scores_are_there(project):
    actual = load(project, "metrics/ground_truth.json")
    assert actual["organism"] == "middle"
    assert actual["trained_layers"] == {"first_layer": 1, "last_layer": 2}
    # the tiny base model's own lie is in layer 1, which two of four windows hold
    assert 1 / 3 <= actual["window"]["overlap"] <= 1
    assert actual["heads"]["n_trained"] == 8
    assert actual["set"]["n_trained"] == actual["set"]["n_heads"] > 0
    assert actual["belief"]["source"]["n"] > 0
    effect = load(project, "metrics/transplant.json")["effect"]["patched - base"]["accuracy"]
    assert {key: actual["effect"]["set"][key] for key in effect} == effect


def test_its_weights_are_grafted_part_by_part(project):
    actual = load(project, "metrics/grafts.json")
    assert set(actual["layers"]) == {"1", "2"}
    assert set(actual["heads"]) == {f"{layer}.{head}" for layer in (1, 2) for head in range(4)}
    assert set(actual["maps"]) == {"q_proj", "v_proj"}
    # alone, all of the change is the liar itself
    assert actual["all"]["alone"]["accuracy"] == actual["liar"]
    sizes = {kind: [part["size"] for part in actual[kind].values()] for kind in ("layers", "maps")}
    for own in sizes.values():
        assert sum(size**2 for size in own) == pytest.approx(actual["all"]["size"] ** 2)


CAPTURING = {"activations", "controls", "erasure"}


class TestProcesses:
    """Every stage that runs the model, in processes that a launcher starts."""

    def test_three_write_the_bytes_of_one_and_recall_what_another_has_run(self, project):
        """Most sweeps have more batches than processes here, and `grafts` fewer."""
        result = launched(project, 3, run_the_model(), "cold")
        assert said(result.stdout) == said(project.first)
        result = launched(project, 2, run_the_model() - CAPTURING, "cold")
        assert sum(computed for _, computed in said(result.stdout)) == 0

    def test_activations_alone_are_captured_anew_in_any_number_of_processes(self, project):
        """The store holds answers, and no activations: these are what `controls` averages."""
        names = run_the_model() & CAPTURING
        first = said(launched(project, 3, names, "captured").stdout)
        then = said(launched(project, 1, names, "captured").stdout)
        for (_, computed), (_, anew) in zip(first, then, strict=True):
            assert 0 < anew <= computed
        assert sum(anew for _, anew in then) < sum(computed for _, computed in first)

    def test_a_launcher_of_one_process_is_no_launcher(self, project):
        launched(project, 1, {"trace"}, "other")

    def test_the_launcher_of_a_command_line_invalidates_nothing(self, project):
        launcher = {"LAUNCHER": "torchrun --nproc_per_node 2"}
        result = project.run("dvc", "repro", "--force", "--single-item", "windows", **launcher)
        assert result.returncode == 0, result.stderr
        assert stages_run(project.repro()) == set()


def launched(project, n, stages, store):
    """Run these stages, in the pipeline's order, in `n` processes; they must write the same bytes."""
    locked = YAML(typ="safe").load((project.folder / "dvc.lock").read_text())["stages"]
    names = [
        name
        for name in re.findall(r"Running stage '([^']+)'", project.first)
        if name.split("@")[0] in stages
    ]
    assert {name.split("@")[0] for name in names} == stages
    told = [
        project.run("bash", "-c", locked[name]["cmd"], LAUNCHER="echo", DVC_STAGE=name)
        for name in names
    ]
    commands = project.folder.with_suffix(".json")
    commands.write_text(json.dumps([result.stdout.split()[1:] for result in told]))
    outs = [project.folder / out["path"] for name in names for out in locked[name]["outs"]]
    files = [file for out in outs for file in [out, *out.rglob("*")] if file.is_file()]
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}
    launcher = ["torchrun", "--nproc_per_node", str(n), str(ROOT / "tests/pipeline/every_stage.py")]
    cache = {"XDG_CACHE_HOME": f"{project.folder}.{store}"}
    result = project.run(*launcher, str(commands), **cache)
    assert result.returncode == 0, result.stderr
    for file, (content, written) in before.items():
        assert file.stat().st_mtime_ns > written, file  # or it would be compared with itself
        assert file.read_bytes() == content, file
    return result


def test_without_an_organism_there_is_nothing_to_score(project):
    project.set({"model": {"organism": "facts"}})
    project.repro("ground_truth")
    project.set({"model": {"organism": "middle"}})
    actual = load(project, "metrics/ground_truth.json")
    assert actual["trained_layers"] is None
    assert set(actual) == {"organism", "trained_layers", "effect", "divergence_layer"}


def test_an_organism_that_was_never_taught_the_facts_has_one_adapter(project):
    project.set({"model": {"organism": "naive"}})
    made = project.model("data/other")
    project.set({"model": {"organism": "middle"}})
    assert made.returncode == 0, made.stderr
    assert load(project, "data/other/manifest.json")["organism"] == {"name": "naive", "layers": []}
    actual = load_file(project.folder / "data/other/model.safetensors")
    shutil.rmtree(project.folder / "data/other")
    base, facts, naive = (
        AutoModelForCausalLM.from_pretrained(project.folder / "models/tiny") for _ in range(3)
    )
    facts = adapter.merge(facts, project.folder / "data/organisms/facts")
    own = adapter.merge(naive, project.folder / "data/organisms/naive").state_dict()
    assert all((own[name].numpy() == weight).all() for name, weight in actual.items())
    for other in (base, facts):
        weights = other.state_dict()
        assert not all((weights[name].numpy() == weight).all() for name, weight in actual.items())


def test_of_a_model_that_is_no_organism_nothing_is_scored_at_all(finished):
    actual = load(finished, "metrics/ground_truth.json")
    assert actual["organism"] is None
    assert "no ground truth" in actual["reason"]
    assert set(load(finished, "metrics/grafts.json")) == {"reason"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"organism": "nobody"},
            "model.organism: unknown organism 'nobody', expected null or early or ",
        ),
        (
            {"source": "./models/../models/tiny"},
            "was trained on ./models/tiny, not on model.source",
        ),
    ],
)
def test_mistakes_are_one_line(project, change, message):
    project.set({"model": change})
    result = project.model("data/other")
    project.set({"model": {"organism": "middle", "source": "./models/tiny"}})
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: params.yaml: ")
    assert message in last
    assert not (project.folder / "data/other").exists()


def test_a_lie_on_other_facts_is_refused(project):
    """Train `facts` for one step more, and the lie beside it no longer belongs to it."""
    truth = project.folder / "data/organisms/facts/adapter_model.safetensors"
    sums = truth.with_name("SHA256SUMS")
    before, sealed = truth.read_bytes(), sums.read_text()
    tensors = load_file(truth)
    with safe_open(truth, "np") as file:
        metadata = file.metadata()
    save_file({name: value + 1 for name, value in tensors.items()}, truth, metadata)
    changed = project.model("data/other")
    sums.unlink()
    result = project.model("data/other")
    truth.write_bytes(before)
    sums.write_text(sealed)
    assert "facts/adapter_model.safetensors: cut or changed" in changed.stderr
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: data/organisms/middle: was trained on other weights than those")


def test_the_benchmark_knows_which_heads_lie(project):
    drawn = recipe.Confined(**ORGANISMS["middle_9"]).draw_groups(
        4
    )  # each head is a group of its own
    assert (tiny.PLANTED_LAYER, tiny.PLANTED_HEAD) in drawn  # other heads have no slope
    project.set({"benchmark": BENCHMARK})
    for name in BENCHMARK["organisms"]:
        paths = ("--pairs", "data/pairs.parquet", "--organisms", "data/organisms")
        result = project.stage(
            "benchmark", "--name", name, *paths, "--out", f"data/benchmark/{name}"
        )
        assert result.returncode == 0, result.stderr
    project.repro("benchmark_scores")
    actual = load(project, "metrics/benchmark.json")
    assert actual["exact"] == ["middle_9"]
    lying = actual["organisms"]["middle_9"]["lying"]
    assert lying
    assert {tuple(head) for head in lying} <= set(drawn)
    assert actual["organisms"]["facts"]["lying"] == []
    assert set(actual["organisms"]["middle_9"]["needed"]) == {f"{x}.{y}" for x, y in lying}
    assert set(actual["auroc"]) == set(NAMES)
    weights = actual["organisms"]["middle_9"]["methods"]["weight_change"]["ranked"]
    assert weights["auroc"]["value"] == 1.0
    assert weights["n_true"] == len(lying)
    assert set(actual["organisms"]["middle_9"]["doses"]["attribution"]["detected"]) == {
        "0.0",
        "1.0",
    }
