"""A new sweep takes what is in `new_sweep`: added to a project, it runs, is drawn and reported."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from dvc.utils.serialize import modify_yaml
from ruamel.yaml import YAML

from tests import tiny
from tests.pipeline.closure import ROOT
from tests.pipeline.conftest import stages_run

TEMPLATE = Path(__file__).parent / "new_sweep"
NAME = "single_layers"
N_LAYERS = 5  # of the tiny model
N_STATEMENTS = 6  # that `widths` takes
ROUNDING = 1e-5  # of float32 in batches of another size
DRAW = f"""
from pathlib import Path
from tests.figures import plot_tables
from stages.figures import __main__ as figures
folder = plot_tables.write(Path("made_up"), layers=3, heads=2)
assert (folder / "{NAME}/layers.json").stat().st_size > 100
shown = figures.declared()
figures.declared = lambda: [figure for figure in shown if figure.file == "{NAME}.png"]
figures.main(folder, Path("drawn"))
assert [path.name for path in Path("drawn").iterdir()] == ["{NAME}.png"]
"""


def merge(into, values):
    """Add a template's settings: what is in a list to the list, what is in a mapping to it."""
    for key, value in values.items():
        if isinstance(value, dict) and key in into:
            merge(into[key], value)
        elif isinstance(value, list) and key in into:
            into[key] += value
        else:
            into[key] = value


def add_sweep(folder):
    """Do what stages/README.md says of a new sweep."""
    node = folder / "stages" / NAME
    node.mkdir()
    for file in TEMPLATE.glob("*.py"):
        shutil.copy(file, node)
    for file in TEMPLATE.glob("add_to_*.yaml"):  # DVC reads each file that is called dvc.yaml
        with modify_yaml(str(folder / file.name.removeprefix("add_to_"))) as values:
            merge(values, YAML(typ="safe").load(file.read_text()))
    for name, row in YAML(typ="safe").load((TEMPLATE / "rows.yaml").read_text()).items():
        page = folder / name
        (above,) = (x for x in page.read_text().splitlines() if x.startswith(row["below"]))
        page.write_text(page.read_text().replace(above, f"{above}\n{row['row']}"))


@pytest.fixture(scope="module")
def extended(project):
    """Add the sweep to a project whose pipeline has run, and run it again."""
    shutil.copy(
        ROOT / "metrics/README.md", project.folder / "metrics"
    )  # a project has no pages there
    for command in (["add", "."], ["commit", "-qm", "all that has run"]):
        assert project.run("git", *command).returncode == 0
    add_sweep(project.folder)
    project.run("git", "add", ".")
    touched = project.run("git", "diff", "--cached", "--name-only").stdout.splitlines()
    return project, touched, project.repro()


def load(project, name):
    return json.loads((project.folder / name).read_text())


def test_a_new_sweep_is_seven_files_and_a_row_in_two_pages(extended):
    _, touched, _ = extended
    code = {f"stages/{NAME}/{file.name}" for file in TEMPLATE.glob("*.py")}
    code |= {"params.yaml", "dvc.yaml"}
    assert set(touched) == code | {"stages/README.md", "metrics/README.md"}
    assert len(code) == 7


def test_it_alone_runs_and_what_shows_it(extended):
    _, _, output = extended
    assert stages_run(output) == {NAME, f"scores@{NAME}", "figures", "report"}


def test_its_answers_are_those_of_windows_of_one_layer(extended):
    project, _, _ = extended
    widths, layers = (
        pl.read_parquet(project.folder / f"data/{name}.parquet").filter(pl.col("base") == "liar")
        for name in ("widths", NAME)
    )
    widths = widths.filter(split="selection", size=1).rename({"first_layer": "layer"})
    layers = layers.with_columns(layer=pl.col("heads").list.first().struct.field("layer"))
    both = widths.join(layers, on=["statement_id", "layer"], suffix="_alone")
    assert len(both) == len(widths) == N_STATEMENTS * N_LAYERS
    for answer in ("p_true", "p_false"):
        assert (both[answer] - both[f"{answer}_alone"]).abs().to_numpy().max() < ROUNDING


def test_its_scores_name_the_planted_layer(extended):
    project, _, _ = extended
    actual = load(project, f"metrics/{NAME}.json")
    assert actual["best"] == tiny.PLANTED_LAYER
    assert (actual["patched"]["accuracy"], actual["base"]["accuracy"]) == (1.0, 0.0)
    rows = load(project, f"plots/{NAME}/layers.json")
    assert len(rows) == 2 * 2 * N_LAYERS  # splits, runs
    right = {row["layer"] for row in rows if row["accuracy"] == 1.0}
    assert right == {tiny.PLANTED_LAYER}


def test_it_is_drawn_and_reported(extended):
    project, _, _ = extended
    picture = project.folder / f"plots/figures/{NAME}.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    page = (project.folder / "plots/report.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith("| [Does patching one layer"))
    assert "](#does-patching-one-layer-alone-undo-the-lie) | supported |" in row
    assert f"![Accuracy with one layer patched, by layer.](figures/{NAME}.png)" in page
    section = page.split("## Does patching one layer alone")[1]
    assert f"layer {tiny.PLANTED_LAYER} patched" in section
    assert "[1.000 [" in section


def test_no_list_of_the_tests_has_to_be_told(extended):
    """After `make reference` the tests of dvc.yaml and of the pages pass in the extended project."""
    project, _, _ = extended
    written = project.run("python", "-m", "tests.docs.reference")
    assert written.returncode == 0, written.stderr
    page = (project.folder / "stages/REFERENCE.md").read_text()
    assert f"`data/{NAME}.parquet`" in page
    assert f"`{NAME}`" in page
    tests = ("tests/pipeline/test_dvc_yaml.py", "tests/docs/test_tables.py")
    tests += ("tests/docs/test_reference.py",)
    chosen = ("-k", "deps or imports or section or leaves or table or page")
    options = ("-o", "addopts=-q", "--import-mode", "importlib", "-p", "no:cacheprovider")
    result = project.run("python", "-m", "pytest", *options, *tests, *chosen)
    assert result.returncode == 0, result.stdout


def test_its_picture_is_drawn_from_made_up_tables(extended):
    project, _, _ = extended
    drawn = project.run("python", "-c", DRAW)
    assert drawn.returncode == 0, drawn.stderr
