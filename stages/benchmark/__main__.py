"""Stage `benchmark`: run every localisation method on one organism whose changed heads are known.

Params  benchmark, model, patch, readout, the wordings of both personas

Frozen in dvc.yaml, because one organism takes minutes: `make benchmark` runs it.
"""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl

from stages.benchmark import curves, methods, truth
from stages.benchmark.bench import Bench, Values
from stages.benchmark.config import MORE, BenchmarkConfig
from stages.benchmark.schema import COSTS, CURVES, EVERY, SCORES, TRUTH
from stages.lib.grafting import weights
from stages.lib.io import cli, params, tables
from stages.lib.io.atomic import atomic
from stages.lib.model import lm as language_model
from stages.lib.patching import aligned, blocks, experiment, prompt_pairs
from stages.lib.patching.experiment import Experiment
from stages.lib.weights import model_folder
from stages.lib.weights.config import ModelConfig

IDS = ["statement_id"]


def main(
    name: Annotated[str, "name of the organism"],
    pairs: cli.Pairs,
    organisms: Annotated[Path, "folder of the model organisms' adapters"],
    out: Annotated[
        Path,
        "writes into this folder each method's score of every head, runs with its head sets "
        "patched in, its cost, and the changed heads (Parquet)",
    ],
) -> None:
    """Score heads on `selection`; patch head sets and graft weights on `report`."""
    section = params.section("benchmark", BenchmarkConfig)
    with atomic(out) as folder, _organism_folder(name, organisms, 1.0) as model:
        folder.mkdir()
        selection = _bench(section, pairs, model, organisms)
        report = _read(selection, pairs, "report", section.report_limit)
        resampled = _read(selection, pairs, "selection", section.stability_limit)
        measurements = {key: selection.timed(method) for key, method in methods.METHODS.items()}
        orders = {key: scores.mean(axis=0) for key, (scores, _) in measurements.items()}
        score_rows = [
            _scores(selection, 1.0, key, scores) for key, (scores, _) in measurements.items()
        ]
        for dose in section.doses:
            with _organism_folder(name, organisms, dose) as dosed_model:
                bench = _bench(section, pairs, dosed_model, organisms)
                cheap_scores = {key: methods.METHODS[key](bench) for key in methods.CHEAP}
            score_rows += [
                _scores(bench, dose, key, scores) for key, scores in cheap_scores.items()
            ]
        more_measurements = {
            key: resampled.timed(methods.METHODS[key]) for key in methods.RESAMPLED
        }
        resampled_rows = [
            _scores(resampled, 1.0, key, scores) for key, (scores, _) in more_measurements.items()
        ]
        costs = [
            {"method": f"{key}{suffix}", **vars(cost)}
            for suffix, subset in (("", measurements), (MORE, more_measurements))
            for key, (_, cost) in subset.items()
        ]
        rival_rows, sets = curves.rivals(selection, report, orders[methods.BEST])
        set_rows = pl.concat([curves.run(report, orders), rival_rows])
        key = ["dose", "method", "layer", "head", *IDS]
        tables.write(folder / "scores.parquet", pl.concat(score_rows), SCORES, key)
        tables.write(folder / "resampled.parquet", pl.concat(resampled_rows), SCORES, key)
        tables.write(folder / "curves.parquet", set_rows, CURVES, ["method", "n_heads", *IDS])
        tables.write(folder / "costs.parquet", pl.DataFrame(costs, COSTS), COSTS, ["method"])
        tables.write(folder / "truth.parquet", truth.run(report), TRUTH, ["layer", "head", *IDS])
        tables.write_json(folder / "sets.json", sets)


@contextmanager
def _organism_folder(name: str, organisms: Path, dose: float) -> Generator[Path]:
    """Yield a model folder of the organism at a dose, whichever organism params.yaml names."""
    config = replace(params.section("model", ModelConfig), organism=name)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        folder.mkdir()
        model_folder.make(config, organisms, folder, dose)
        yield folder


def _bench(section: BenchmarkConfig, pairs: Path, model: Path, organisms: Path) -> Bench:
    """Bench of the statements that methods see."""
    setting = experiment.load(pairs, model, ("selection",), section.limit)
    probe_pairs = prompt_pairs.read(pairs, ("selection",), section.probe_limit, by="split")
    organism = tables.read_json(model / language_model.MANIFEST)["organism"]
    adapter = organisms / organism["name"] if organism["layers"] else None
    changes = weights.changes(setting.lm, adapter) if adapter else {}
    placed, everywhere = _placed(setting)
    return Bench(
        setting=placed,
        everywhere=everywhere,
        probed=replace(setting, pairs=probe_pairs),
        adapter=adapter,
        changes=changes,
        section=section,
    )


def _read(bench: Bench, pairs: Path, split: str, limit: int | None) -> Bench:
    """The same bench with statements of another split."""
    about = prompt_pairs.read(pairs, (split,), limit, by="split")
    setting, everywhere = _placed(replace(bench.setting, pairs=about))
    return replace(bench, setting=setting, everywhere=everywhere)


def _placed(setting: Experiment) -> tuple[Experiment, list[blocks.Pairs]]:
    """Statements whose wordings are found in both prompts, and all their paired positions."""
    aligned_setting, pairs = aligned.placed(setting, "benchmark")
    return aligned_setting, [blocks.with_last(p) for p in pairs]


def _scores(bench: Bench, dose: float, method: str, scores: Values) -> pl.DataFrame:
    """Rows of one method: per statement and head, or per head if scores are not per statement."""
    ids = bench.setting.pairs.table["statement_id"]
    per_statement = len(scores) == len(ids)
    row, layer, head = (axis.ravel() for axis in np.indices(scores.shape))
    columns = {"layer": layer, "head": head, "score": scores.ravel()}
    table = pl.DataFrame(columns).with_columns(
        dose=pl.lit(dose),
        method=pl.lit(method),
        statement_id=ids.gather(row) if per_statement else pl.lit(EVERY),
    )
    return table.select(pl.col(name).cast(dtype) for name, dtype in SCORES.items())


if __name__ == "__main__":
    cli.run(main)
