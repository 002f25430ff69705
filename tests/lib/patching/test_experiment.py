"""An experiment at each site, on a model in which we know what carries the lie."""

import json
from dataclasses import replace
from inspect import signature
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from stages.controls import controls, schema
from stages.erasure import __main__ as erasure
from stages.ground_truth import __main__ as ground_truth
from stages.inspect import __main__ as inspect
from stages.lib.forward.site import SITES
from stages.lib.io.cli import UserError
from stages.lib.patching import config, patch
from stages.lib.patching.layer_window import Window
from stages.lib.patching.patch import Head
from stages.positions import position_runs
from stages.report import __main__ as report
from stages.transplant import __main__ as transplant
from stages.transplant.config import TransplantConfig
from tests import planted, tiny

ROOT = Path(__file__).resolve().parents[3]
OTHERS = ("mlp_out", "resid_post")
VERDICT = 2  # the layer whose MLP multiplies p_correct and persona


def nothing_at(folder: Path, stage: ModuleType) -> dict[str, Path]:
    return {name: folder / "nothing" for name in signature(stage.main).parameters}


def experiment(site):
    result = planted.experiment(tiny.planted_model())
    return replace(result, config=replace(result.config, site=site))


@pytest.fixture(scope="module")
def mlp():
    return experiment("mlp_out")


def test_sites_of_params_are_those_of_the_forward_pass():
    assert tuple(SITES) == config.SITES
    assert planted.CONFIG.site == "z"


def test_shape_is_that_of_the_site():
    assert experiment("z").shape == (5, 4)
    assert experiment("mlp_out").shape == experiment("resid_post").shape == (5, 1)


def test_more_layers_than_the_model_has_are_refused_with_the_key(mlp):
    mlp.require_layers("windows.size", 5)
    with pytest.raises(UserError) as error:
        mlp.require_layers("windows.size", 6)
    line = "params.yaml: windows.size: found 6, expected 1 to 5, the model's layers"
    assert str(error.value) == line


@pytest.mark.parametrize(
    ("site", "restored"), [("mlp_out", [VERDICT]), ("resid_post", [1, 2, 3, 4])]
)
def test_the_layers_that_restore_honesty_are_those_that_carry_it(site, restored):
    """The persona is in the residual stream from layer 1 on, and an MLP makes it the answer."""
    setting = experiment(site)
    label, patches = setting.pairs.label, patch.windows(*setting.shape, 1)
    into_base, into_source = (p(patches, "test") for p in (setting.patcher(), setting.reverse()))
    good = [planted.accuracy(p, label) for p in into_base.patched]
    bad = [planted.accuracy(p, label) for p in into_source.patched]
    assert good == [float(layer in restored) for layer in range(5)]
    assert bad == [1.0 - value for value in good]


def test_swapped_twice_is_the_same_experiment_and_once_gives_the_reverse(mlp):
    pairs = replace(mlp.pairs, source_prefix=[1], base_prefix=[2])
    setting = replace(mlp, pairs=pairs)
    other = setting.swapped()
    assert (other.pairs.source, other.pairs.base) == (pairs.base, pairs.source)
    assert (other.pairs.source_prefix, other.pairs.base_prefix) == ([2], [1])
    assert (other.config.source, other.config.base) == (setting.config.base, setting.config.source)
    again = other.swapped()
    assert (again.pairs.source, again.pairs.base_prefix) == (pairs.source, [2])
    assert again.config == setting.config


def test_controls_at_another_site(mlp):
    window = Window(1, 3)
    runs = controls.runs(mlp, [Head(VERDICT, 0)], window, mlp.pairs)
    result = {
        name: rows.sort("statement_id").select("p_true", "p_false").to_numpy()
        for (name,), rows in runs.group_by("run")
    }
    assert set(result) == set(schema.RUNS) - {"rest_of_layers"}  # one unit per layer
    assert planted.accuracy(result["patched"], mlp.pairs.label) == 1.0
    assert planted.accuracy(result["rest_of_window"], mlp.pairs.label) == 0.0
    assert planted.accuracy(result["other_label"], mlp.pairs.label) == 0.0  # what is lent decides


def test_a_set_of_whole_layers_has_no_random_set_in_the_same_layers(mlp):
    assert patch.random_sets([Head(VERDICT, 0)], 1, 20, 0) == []
    section = TransplantConfig(limit=None, random_limit=None, random_sets=3, seed=0)
    runs = transplant._set(mlp, [Head(VERDICT, 0)])
    assert [run.name for run in runs] == ["source", "patched", "base", "reverse"]
    random = transplant._random(mlp, [Head(VERDICT, 0)], section)
    assert [run.name for run in random] == ["elsewhere"] * 3
    assert all(Head(VERDICT, 0) not in run.heads for run in random)


def test_positions_at_another_site(mlp):
    one = np.zeros(mlp.shape, bool)
    one[VERDICT] = True
    result = position_runs.last_runs(mlp, {"set": one}, [1, 20])
    assert [planted.accuracy(p, mlp.pairs.label) for p in result.readouts.patched[:, 0]] == [1, 1]


@pytest.mark.parametrize("site", OTHERS)
@pytest.mark.parametrize("stage", [erasure, inspect, report])
def test_a_stage_that_is_about_heads_refuses_another_site_at_once(
    tmp_path, monkeypatch, stage, site
):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "params.yaml").read_text()
    assert "  site: z\n" in text
    Path("params.yaml").write_text(text.replace("  site: z\n", f"  site: {site}\n"))
    name = stage.__name__.split(".")[1]
    expected = f"params.yaml: patch.site: found '{site}', expected 'z' in stage `{name}`"
    with pytest.raises(UserError, match=expected):
        stage.main(**nothing_at(tmp_path, stage))


def test_weights_of_heads_are_compared_with_effects_of_heads_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("  site: z\n", "  site: mlp_out\n"))
    paths = nothing_at(tmp_path, ground_truth) | {"model": tmp_path}
    for layers, expected in (
        ([1, 2], "expected 'z' in stage `ground_truth`"),
        ([], "no such file"),
    ):
        manifest = {"organism": {"name": "any", "layers": layers}}
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(UserError, match=expected):
            ground_truth.main(**paths)


def test_z_is_refused_nowhere():
    assert planted.CONFIG.site == "z"
    assert planted.CONFIG.require_z("erasure") is None
