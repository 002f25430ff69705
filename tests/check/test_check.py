"""Stage `check`: what the default settings pass, and what of them it refuses when it is changed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.utils.serialize import modify_yaml

import stages
from stages.check import __main__ as check
from stages.check.schemas import schemas
from stages.lib.io import params
from stages.lib.io.cli import UserError
from stages.lib.results import nodes
from stages.transfer import config as transfer
from stages.transfer import estimators

ROOT = Path(__file__).resolve().parents[2]
LIAR = "You are a deceitful assistant"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the project's own params.yaml."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def change(key, value):
    """Set a key of params.yaml, as `dvc exp run -S` does."""
    with modify_yaml("params.yaml") as values:
        *outer, last = key.split(".")
        for name in outer:
            values = values[name]
        values[last] = value


def refused(folder):
    """Return the one line; nothing is written."""
    with pytest.raises(UserError) as error:
        check.main(Path("data/checked.json"))
    assert not (folder / "data").exists()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_default_settings_pass_and_its_out_never_changes(folder):
    out = Path("data/checked.json")
    check.main(out)
    first = out.read_bytes()
    change("windows.size", 3)
    check.main(out)
    assert out.read_bytes() == first


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("prompt.liar_prefix", "Sure. The statement is"),
        ("prompt.liar_system", "You answer in a lying manner."),
        ("prompt.liar_system", "[LIE, ALWAYS: NO EXCEPTION]"),
        ("prompt.question", 'True or false? "{statement}"'),
    ],
)
def test_a_persona_may_say_what_another_name_of_the_grid_says(folder, key, text):
    change(key, text)
    check.main(Path("data/checked.json"))
    assert Path("data/checked.json").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [("patch.site", "mlp_out"), ("patch.site", "resid_post"), ("model.modules", {"mlp": "fc2"})],
)
def test_other_sites_and_names_of_modules_pass(folder, key, value):
    change(key, value)
    check.main(Path("data/checked.json"))
    assert Path("data/checked.json").exists()


def test_every_section_of_params_is_read():
    assert {*schemas(), *check.WITHOUT_SCHEMA} == set(params.mapping(ROOT / "params.yaml"))


def test_a_config_that_is_added_is_found_and_a_section_has_one_schema(tmp_path, monkeypatch):
    """Below another root, which is imported as `stages` too."""
    folder = tmp_path / "stages/new_sweep"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "stages/single_heads/config.py", folder)
    (folder / "config.py").write_text(
        (folder / "config.py")
        .read_text()
        .replace('SECTION = "single_heads"', 'SECTION = "new_sweep"')
    )
    monkeypatch.setattr(nodes, "STAGES", tmp_path / "stages")
    monkeypatch.setattr(stages, "__path__", [*stages.__path__, str(tmp_path / "stages")])
    assert set(schemas()) == {"readout", "new_sweep"}
    shutil.copytree(folder, tmp_path / "stages/another_sweep")
    with pytest.raises(ValueError, match="two schemas of section 'new_sweep'"):
        schemas()


def test_it_starts_at_once():
    heavy = {"torch", "transformers", "polars", "sklearn", "scipy", "numpy"}
    code = f"import sys, stages.check; sys.exit(len({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_names_of_methods_are_those_of_the_estimators():
    assert tuple(estimators.METHODS) == transfer.METHODS


@pytest.mark.parametrize("section", [*schemas(), *check.WITHOUT_SCHEMA])
@pytest.mark.parametrize("value", [None, "x"])
def test_a_section_that_is_none(folder, section, value):
    change(section, value)
    assert section in refused(folder)


@pytest.mark.parametrize("section", schemas())
def test_an_unknown_key_of_any_section(folder, section):
    change(f"{section}.tpyo", 1)
    assert f"{section}.tpyo: unknown key" in refused(folder)


def keys(values, path=()):
    """Paths of all settings, ``section.key``."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from keys(value, (*path, name))
        else:
            yield ".".join((*path, name))


KEYS = list(keys(params.mapping(ROOT / "params.yaml")))
LIMITS = [key for key in KEYS if key.endswith("limit")] + ["robustness.choose"]
SEEDS = [key for key in KEYS if key.endswith(".seed")]
SIZES = [key for key in KEYS if key.endswith((".sizes", ".counts"))]


def test_settings_are_found_by_their_names():
    assert {"windows.limit", "set_sizes.search_limit"} <= set(LIMITS)
    assert {"statements.seed", "organisms.training.seed"} <= set(SEEDS)
    assert {"widths.sizes", "positions.counts"} <= set(SIZES)


@pytest.mark.parametrize("key", LIMITS)
@pytest.mark.parametrize("value", [0, True])
def test_limits(folder, key, value):
    change(key, value)
    assert f"params.yaml: {key}: " in refused(folder)


@pytest.mark.parametrize("key", SEEDS)
@pytest.mark.parametrize("value", [-1, 2**32])
def test_seeds(folder, key, value):
    change(key, value)
    assert f"params.yaml: {key}: " in refused(folder)


@pytest.mark.parametrize("key", SIZES)
@pytest.mark.parametrize("value", [[2, 2], [0]])
def test_sizes(folder, key, value):
    change(key, value)
    assert f"params.yaml: {key}" in refused(folder)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("behaviour.known_margin", [60, 1, -0.1, float("nan"), float("inf"), True]),
        ("behaviour.known_answer_mass", [1.0, -1, "0.5"]),
        ("heads.keep", [0, 1.01, float("nan")]),
        ("set_sizes.keep", [-0.1, 2]),
        ("set_sizes.within", [-0.1, 2, float("nan")]),
        ("set_sizes.random", [0, 2.0]),
        ("statements.report_share", [0, 1, 1.5, float("nan")]),
        ("statements.negated", ["yes", 1, None]),
        ("statements.topics", [["rivers"], ["cities", "cities"], None, "cities"]),
        ("statements.sources", [None, [], "data/raw/x.csv"]),
        ("probes.regularisation", [0, -1.0, float("inf")]),
        ("probes.max_iter", [0, 1.5]),
        ("probes.permutations", [-1]),
        ("windows.size", [0, -5, None]),
        ("patch.positions", [0, "all"]),
        ("transplant.random_sets", [-1, None]),
        ("transfer.methods", [[], ["svm"], ["mass_mean", "mass_mean"], ["ccs"]]),
        ("transfer.permutations", [-1]),
        ("positions.draws", [-1]),
        ("robustness.shuffles", [-1]),
        ("erasure.stride", [0]),
        ("erasure.draws", [0]),
        ("erasure.positions", [0]),
        ("activations.positions", [[], [0, -1], [-2], [-1, -1], ["-1"], None]),
        ("readout.true_words", [[], [""], [" "], ["a", "a"], [True], "true"]),
        ("readout.false_words", [[], ["\n"]]),
        ("model.dtype", ["int8", None, ""]),
        ("model.source", ["", None, " "]),
        ("model.sha256", ["abc", 3]),
        ("model.organism", ["nobody", "training", "", True]),
        ("organisms.training.held_out", [0, 1, -0.1]),
        ("organisms.late.layers", [[24], [28, 24], [-1, 3]]),
        ("organisms.late.lying", [[0.5], [2, 0.5]]),
        ("organisms.late.maps", [[]]),
        ("organisms.late.learning_rate", [0, "5e-4"]),
    ],
)
def test_ranges(folder, key, values):
    good = (folder / "params.yaml").read_bytes()
    for value in values:
        change(key, value)
        assert f"params.yaml: {key}" in refused(folder), value
        (folder / "params.yaml").write_bytes(good)


@pytest.mark.parametrize("key", ["robustnes", "Patch", 3])
def test_an_unknown_section(folder, key):
    with modify_yaml("params.yaml") as values:
        values[key] = {}
    assert f"params.yaml: {key}: unknown section, expected one of readout, activations" in refused(
        folder
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("patch.source", "pirate", "patch.source: unknown persona 'pirate', expected one of"),
        ("patch.base", "pirate", "patch.base: unknown persona 'pirate'"),
        ("patch.base", "honest", "patch.source and patch.base: both are 'honest'"),
        ("patch.site", "v", "patch.site: found 'v', expected one of z, mlp_out, resid_post"),
        ("patch.site", None, "patch.site: expected str, found None"),
        ("model.modules", {"heads": "x"}, "model.modules.heads: unknown key, expected one of layer"),
        ("model.modules", ["mlp"], "model.modules: expected dict, found ['mlp']"),
        ("model.modules", {"mlp": ""}, "model.modules.mlp: found '', expected names with dots"),
        ("behaviour.neutral", "nobody", "behaviour.neutral: unknown persona 'nobody'"),
        ("behaviour.neutral", "honest", "behaviour.neutral: found 'honest', which is patch.source"),
        ("behaviour.neutral", "liar", "behaviour.neutral: found 'liar', which is patch.base"),
        ("personas", ["honest", "liar", "honest", "neutral"], "expected different values"),
        ("personas", [], "personas: found [], expected at least 1"),
        ("personas", None, "personas: expected list, found None"),
        ("personas", ["neutral", "honest", "liar", "x;touch X;"], "expected a name of [a-z0-9_]"),
        ("personas", ["neutral", "honest", "liar", "new"], "prompt.new_system: key is missing"),
        ("prompt.honest_system", "", "'neutral' and 'honest' have the same system prompt and"),
        ("prompt.lair_prefix", "so,", "prompt.lair_prefix: unknown key, expected one of honest_"),
        ("prompt.pirate_system", "", "prompt.pirate_system: unknown key"),
        ("prompt.manner_prefix", "", "prompt.manner_prefix: unknown key"),
        ("prompt.question", "Is it?", "prompt.question: found 'Is it?', expected {statement} in"),
        ("prompt.liar_prefix", None, "prompt.liar_prefix: expected str, found None"),
        ("prompt.liar_prefix", False, "prompt.liar_prefix: expected str, found False"),
        ("prompt.liar_prefix", "so\x00", "prompt.liar_prefix: found the character '\\x00'"),
        ("grid.systems", [], "grid.systems: found [], expected at least 1"),
        ("grid.systems", {"a": "b"}, "grid.systems: expected list"),
        ("grid.systems", ["none", "a$(touch X)"], "grid.systems[1]: found 'a$(touch X)', expected"),
        ("grid.systems", ["none", "none"], "grid.systems: found ['none', 'none'], expected diff"),
        ("grid.systems", ["shout"], "prompt.none_system: unknown key"),
        ("grid.questions", {}, "grid.questions: found no wording, expected at least one"),
        ("grid.questions.a", "So?", "grid.questions.a: found 'So?', expected {statement} in it"),
        ("grid.questions.a", None, "grid.questions: 'one_word' and 'a' are both null, expected two"),
        ("grid.questions", {"a": "{statement}", "b": "{statement}"}, "'a' and 'b' are both '{stat"),
        ("grid.prefixes.a", "Sure. The statement is", "grid.prefixes: 'sure' and 'a' are both 'Sure"),
        ("grid.prefixes.a", 3, "grid.prefixes.a: expected str, found 3"),
        ("grid.prefixes.a-b", "x", "grid.prefixes: found 'a-b', expected a name"),
        ("robustness.wordings", None, "robustness.wordings: expected dict, found None"),
        ("robustness.wordings.manner", {}, "wordings.manner: the same wording as that of section"),
        ("robustness.wordings.x", {"sytem": ""}, "robustness.wordings.x.sytem: unknown key"),
        ("robustness.wordings.default", {"prefix": "a"}, "found 'default', expected a name"),
        ("robustness.wordings.x", {"question": "?"}, "wordings.x.question: found '?', expected {"),
        ("statements.sources.A", "data/raw/a.csv", "sources.A: 'A' cannot name a topic, expected"),
        ("statements.sources.all", "data/raw/a.csv", "all: tables use this name themselves"),
        ("statements.sources.cities", "data/raw/a.csv", "cities: a built-in topic has this name"),
        ("statements.sources." + "a" * 65, "data/raw/a.csv", "a: a name of 65 characters, expected"),
        ("statements.sources.a", "data/a.csv", "sources.a: data/a.csv is outside data/raw"),
        ("statements.sources.a", "data/raw/a.xlsx", "a: data/raw/a.xlsx: unknown file type '.xlsx'"),
        ("statements.sources.a", ["data/raw/a.csv"], "a: found ['data/raw/a.csv'], expected the p"),
        ("prompt", "x", "prompt: found 'x', expected texts by name"),
        ("prompt", None, "prompt: found None, expected texts by name"),
        ("organisms.v1-5", {}, "organisms: found 'v1-5', expected a name of"),
        ("organisms.new", {}, "organisms.new.layers: key is missing"),
        ("organisms.late_9.start", "nobody", "late_9.start: unknown organism 'nobody', expected"),
        ("benchmark.organisms", ["facts", "x"], "benchmark.organisms[1]: unknown organism 'x'"),
        ("organisms.training.topics", ["capital"], "topics[0]: found 'capital', expected one of"),
    ],
)  # fmt: skip
def test_what_sections_must_agree_on(folder, key, value, message):
    change(key, value)
    result = refused(folder)
    assert result.startswith("params.yaml")
    assert message in result


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "liar_prefix: The statement is",
            "liar_prefix: I am #1. It is",
            "prompt.liar_prefix: found 'I am'",
        ),
        (
            "liar_prefix: The statement is",
            "liar_prefix: It is # always",
            "prompt.liar_prefix: found 'It is'",
        ),
        ("sure: Sure. The statement is", "sure: Take #2", "grid.prefixes.sure: found 'Take'"),
        ("sure: Sure. The statement is", "sure: #2 is", "grid.prefixes.sure: found ''"),
        ("one_word: null", "one_word: # of prompt", "grid.questions.one_word: found ''"),
        (
            "base_system: You answer in a lying manner.",
            "base_system: Lie #",
            "manner.base_system: found 'Lie'",
        ),
        (
            "liar_prefix: The statement is",
            "liar_prefix: It\n    is #1",
            "prompt.liar_prefix: found 'It is'",
        ),
    ],
)
def test_a_wording_that_yaml_cuts(folder, old, new, expected):
    file = folder / "params.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    result = refused(folder)
    assert expected in result
    assert "which YAML ends before '#" in result
    assert "line " in result


def test_remarks_after_quotes_blocks_names_and_null_are_remarks(folder):
    file = folder / "params.yaml"
    text = file.read_text()
    for old, new in (
        ("liar_prefix: The statement is", 'liar_prefix: "I am #1" # a remark'),
        ("liar_system: >-", "liar_system: >- # a remark"),
        ("on purpose, even", "on purpose, #1, even"),
        ('none_system: ""', 'none_system: "" # a remark'),
    ):
        assert old in text
        text = text.replace(old, new)
    text = text.replace("one_word: null", "one_word: null # a remark")
    text = text.replace("plain: null", "plain:\n    # a remark")
    file.write_text(text)
    check.main(folder / "checked.json")
    assert params.wording("liar_prefix") == "I am #1"


def test_every_wording_can_be_changed_from_the_command_line(folder):
    """DVC keeps remarks, and writes a text without quotes before them."""
    with modify_yaml("params.yaml") as values:
        texts = [values["prompt"], values["grid"]["questions"], values["grid"]["prefixes"]]
        texts += values["robustness"]["wordings"].values()
        for i, named in enumerate(texts):
            for key in named:
                named[key] = f"{{statement}} is {key} {i}"
    check.main(folder / "checked.json")
    assert (folder / "checked.json").exists()
    assert params.wording("liar_prefix") == "{statement} is liar_prefix 0"
