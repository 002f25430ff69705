"""dvc.yaml says what the code does: deps are imports, params are sections, nothing is uncached."""

import ast
import re
import subprocess
import sys
from itertools import chain

import pytest
from ruamel.yaml import YAML

from stages.figures import __main__ as figures
from stages.lib.drawing import registry
from tests.pipeline.closure import ROOT, closure, declared, entry, run_the_model

DECLARED = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
STAGES = {name: stage.get("do", stage) for name, stage in DECLARED.items()}
PARAMS = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
ONE_BY_ONE = declared()
MODULES = {
    name: re.findall(r"-m stages\.([a-z_.]+)", stage["cmd"])[0]
    for name, stage in ONE_BY_ONE.items()
}
WORDED = (
    "params.wording",
    "aligned.wordings",
    "blocks.wording_of",
    "aligned.placed",
    "wordings.of_prompt",
    "grid.wordings",
)
"""Calls that read wordings."""
CLAIMS = {"stages/lib/claim.py"}
"""`metrics.py` imports it for its claim, which no other stage than the report makes."""
TEMPLATES = {
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "stages").glob("*/*")
    if path.suffix in (".j2", ".css", ".js")
}
OF_OTHER_NODES = re.compile("scores(_[a-z_]+)?.py|metrics.py|figure.py")


def hidden(file: str) -> bool:
    """Whether .dvcignore hides a file from the folder that it is in."""
    return file.count("/") == 2 and bool(OF_OTHER_NODES.fullmatch(file.split("/")[2]))


def covers(dep: str, file: str) -> bool:
    """Whether a dep of dvc.yaml is a file, or the folder that it is in."""
    return file == dep or (file.startswith(f"{dep}/") and not hidden(file))


def test_every_node_is_a_stage():
    nodes = {
        path.stem
        for path in (ROOT / "stages").iterdir()
        if path.suffix != ".md" and path.stem not in ("__init__", "__pycache__", "lib")
    }
    assert {module.split(".")[0] for module in MODULES.values()} == nodes
    for module in MODULES.values():
        assert entry(module).is_file()


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_code_deps_cover_the_imports_and_nothing_else(name):
    listed = [dep for dep in ONE_BY_ONE[name]["deps"] if dep.startswith("stages")]
    listed = [dep for dep in listed if dep not in TEMPLATES]
    files = closure(entry(MODULES[name]))
    if name != "report":
        files -= CLAIMS
    assert [f for f in files if not any(covers(dep, f) for dep in listed)] == []
    own = "stages/" + name.removeprefix("scores@")  # most sweeps share a module with their scores
    assert [d for d in listed if d != own and not any(covers(d, f) for f in files)] == []


def test_templates_are_deps_of_their_own_stage():
    """One by one: .dvcignore hides from a folder of code what is not Python."""
    assert TEMPLATES
    for name, stage in ONE_BY_ONE.items():
        own = {file for file in TEMPLATES if file.split("/")[1] == name}
        assert {dep for dep in stage["deps"] if dep in TEMPLATES} == own


def test_figures_depend_on_the_plot_tables_that_a_figure_declares():
    listed = {dep for dep in ONE_BY_ONE["figures"]["deps"] if dep.startswith("plots/")}
    tables = registry.schemas(figures.declared())
    assert listed == {f"plots/{name.split('/')[0]}" for name in tables}


def test_what_scores_alone_import_reruns_no_sweep():
    """Of a sweep's own folder, a file that the sweep does not import must be hidden from it."""
    for name in run_the_model() | {"benchmark"}:
        folder = f"stages/{MODULES[name]}"
        if f"{folder}" not in ONE_BY_ONE[name]["deps"]:
            continue
        files = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).glob("*.py")}
        seen = {file for file in files if not hidden(file)} - {f"{folder}/__init__.py"}
        assert seen <= closure(entry(MODULES[name])), name


OF_READERS = {
    "stages/logit_attribution/schema.py": {"read"},  # the inverse of `write`, which the run calls
}
"""Functions of a schema.py that its node's run does not use, and why they are there."""


def functions(text):
    """Names of the functions that a module defines."""
    return {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}


def words(text):
    """Names and attributes that a module says."""
    nodes = list(ast.walk(ast.parse(text)))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {
        alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    return names | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def unused(schema, others):
    """Functions of a schema that neither it nor one of some other modules uses, by their texts."""
    return functions(schema) - set().union(words(schema), *map(words, others))


def test_a_schema_defines_no_function_that_its_run_does_not_use():
    """Else an edit of what readers alone use would run the model again."""
    found = {}
    for path in (ROOT / "stages").glob("*/schema.py"):
        name = path.relative_to(ROOT).as_posix()
        run = closure(entry(path.parent.name)) - {name}
        texts = [
            (ROOT / file).read_text() for file in run if file.startswith(name[: -len("schema.py")])
        ]
        assert texts
        if left := unused(path.read_text(), texts):
            found[name] = left
    assert found == OF_READERS


def test_a_function_of_readers_alone_would_be_seen():
    schema = "def write(): pass\ndef read(): pass\ndef size(): return write()"
    assert unused(schema, ["from a.schema import size"]) == {"read"}
    assert unused(schema, ["schema.read()"]) == {"size"}


def test_what_no_sweep_imports_is_in_no_folder_of_lib_that_sweeps_list():
    """Else an edit of what writes metrics, or of a statistic, would run the model again."""
    sweeps = run_the_model()
    others = {name for name in MODULES if name.split("@")[0] in ("model", "organism", "benchmark")}
    used = set().union(*(closure(entry(MODULES[name])) for name in sweeps | others))
    listed = {dep for name in sweeps for dep in ONE_BY_ONE[name]["deps"] if "/lib/" in dep}
    folders = {dep for dep in listed if (ROOT / dep).is_dir()}
    files = {
        path.relative_to(ROOT).as_posix()
        for dep in folders
        for path in (ROOT / dep).rglob("*.py")
        if path.name != "__init__.py"
    }
    assert len(files) > 30
    assert sorted(files - used) == []


def test_a_node_imports_itself_and_lib():
    """But for the config.py, metrics.py and schema.py of another: what it reads is like that."""
    collecting = ("check", "figures")
    for path in (ROOT / "stages").rglob("*.py"):
        node = path.relative_to(ROOT / "stages").parts[0]
        if node in collecting:
            continue
        for file in closure(path):
            other = file.split("/")[1]
            if path.name == "__init__.py" or other in (node, "lib", "__init__.py"):
                continue
            assert file.endswith(("/config.py", "/metrics.py", "/schema.py")), (path, file)
            assert node != "lib", (path, file)


def test_activations_do_not_depend_on_rendering():
    assert "stages/lib/chat/__init__.py" in closure(entry("prompts"))
    assert "stages/lib/chat/__init__.py" not in closure(entry("activations"))


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_every_section_that_a_stage_reads_is_declared(name):
    text = entry(MODULES[name]).read_text()
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    read = {
        node.args[0].value
        for node in calls
        if isinstance(node.func, ast.Attribute) and node.func.attr == "section"
        and isinstance(node.args[0], ast.Constant)
    }  # fmt: skip
    if "experiment.load(" in text:
        read |= {"patch", "readout"}
    if "params.personas()" in text:
        read.add("personas")
    listed = ONE_BY_ONE[name].get("params", [])
    if name == "check":
        assert listed == [{"params.yaml": None}]  # all of it
        return
    declared = {param for param in listed if "." not in param}
    if name in ("organism", "benchmark"):  # read what the base model is, and no other key of it
        declared |= {"model"}
    if "organisms.training" in listed:
        declared |= {"organisms.training"}
    if name == "pairs":  # what the sweeps patch with is theirs
        declared |= {"patch"}
    if name in (
        "wordings",
        "explorer",
        "report",
    ):  # any text of it may be in a cell, or a persona's
        declared -= {"prompt"}
    by_key = {param.split(".")[0] for param in listed if param.startswith(f"{name}.")}
    if by_key:  # of its own section what its scores do not read alone
        assert {param for param in listed if param.startswith(f"{name}.")} == {
            f"{name}.{key}" for key in re.findall(r"\boptions\.(\w+)", text)
        }
        declared |= by_key
    if name.startswith("scores@"):  # one declaration for all of them
        declared = {param.split(".")[0] for param in listed} & read
    assert read == declared
    reads = any(call in text for call in WORDED)
    assert reads == any(param.split(".")[0] == "prompt" for param in listed)


def test_every_section_of_params_is_read_by_a_stage():
    others = [stage for name, stage in ONE_BY_ONE.items() if name != "check"]
    declared = {p.split(".")[0] for stage in others for p in stage.get("params", [])}
    assert declared == set(PARAMS)


@pytest.mark.parametrize("name", STAGES)
def test_the_run_cache_stays_on(name):
    stage = STAGES[name]
    assert stage["deps"]
    if stage.get("frozen"):  # run by hand, and its outs are in git
        return
    if name in ("report", "scores") or name.endswith(
        "_scores"
    ):  # outs in git that are no plots; they take a second
        return
    for out in stage.get("outs", []):
        assert isinstance(out, str), "an out with options: cache: false turns the run cache off"


def test_no_wording_is_in_a_command():
    for stage in STAGES.values():
        assert "prompt." not in stage["cmd"]
        assert "{grid." not in stage["cmd"]


def test_no_name_of_params_is_in_a_command():
    """A persona's and a system prompt's reach the shell as part of $DVC_STAGE, which is no text."""
    for name, stage in ONE_BY_ONE.items():
        result = re.findall(r"(?<!\\)\$\{(?!key)[^}]*\}", stage["cmd"])
        assert not result, (name, result)


def test_everything_runs_after_the_check():
    """So that a wrong setting of any stage stops a run before it has computed something."""
    writes = {}
    for name, stage in ONE_BY_ONE.items():
        plots = [out if isinstance(out, str) else next(iter(out)) for out in stage.get("plots", [])]
        outs = [out if isinstance(out, str) else next(iter(out)) for out in stage.get("outs", [])]
        for out in [*outs, *plots, *map(lambda x: next(iter(x)), stage.get("metrics", []))]:
            writes[out] = name

    def after(name):
        deps = [d for d in ONE_BY_ONE[name]["deps"] if not d.startswith("stages")]
        before = {
            writer for dep in deps for out, writer in writes.items()
            if out == dep or out.startswith(f"{dep}/")
        }  # fmt: skip
        return name == "check" or any(after(one) for one in before)

    for name, stage in ONE_BY_ONE.items():
        assert after(name) or stage.get("frozen"), name


def test_git_ignores_what_dvc_keeps():
    """Else DVC would write a .gitignore into a clone, which git would show as a change."""
    kept = set()
    for stage in ONE_BY_ONE.values():
        for out in [] if stage.get("frozen") else [*stage.get("outs", []), *stage.get("plots", [])]:
            ((path, about),) = out.items() if isinstance(out, dict) else [(out, {})]
            if about.get("cache", True):
                kept.add(path if "." in path else f"{path}/")
    assert {"data/trace/", "data/best_window.json", "data/windows.parquet"} <= kept
    ignored = subprocess.run(
        ["git", "check-ignore", "--stdin"], cwd=ROOT, input="\n".join(kept), text=True,
        stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    assert sorted(ignored.stdout.split()) == sorted(kept)


def test_only_what_is_shown_reads_metrics_and_plots():
    """`data/` feeds the stages that compute; `metrics/` and `plots/` are leaves."""
    readers = {
        name for name, stage in ONE_BY_ONE.items()
        if any(dep.startswith(("metrics/", "plots/")) for dep in stage["deps"])
    }  # fmt: skip
    assert readers == {"figures", "summary", "report"}


def test_the_model_runs_under_the_users_launcher():
    forward = {name for name, stage in STAGES.items() if "stages/lib/forward" in stage["deps"]}
    assert forward - {"organism", "benchmark"} == run_the_model()  # frozen: no launcher runs them
    assert len(forward) > 10


def first_with_torch(names):
    """The first of some modules whose import brings torch with it."""
    code = f"""import importlib, sys
for name in {names}:
    importlib.import_module(name)
    if "torch" in sys.modules:
        sys.exit(name)
"""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE).stderr


def test_a_stage_that_needs_no_model_starts_without_torch():
    with_torch = run_the_model() | {"organism", "benchmark", "model", "prompts"}
    files = {entry(MODULES[name]) for name in set(ONE_BY_ONE) - with_torch}
    modules = sorted(".".join(f.relative_to(ROOT).with_suffix("").parts) for f in files)
    assert len(modules) > 15
    assert first_with_torch(modules) == b""
    assert b"stages.windows" in first_with_torch(["stages.windows.__main__"])  # the check can fail


def test_slugs_can_be_joined_without_meeting():
    wordings = [PARAMS["grid"][kind] for kind in ("systems", "questions", "prefixes")]
    names = [*PARAMS["personas"], *PARAMS["statements"]["topics"], *chain(*wordings)]
    for name in names:
        assert re.fullmatch(r"[a-z0-9_]+", name)


def test_requirements_are_exact_and_name_no_index():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert len(lines) > 50
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._]+", line), line
