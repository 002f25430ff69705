"""Stage `benchmark`: every method of localisation on one organism, whose lying heads are known.

Params  benchmark, model, patch, readout, the wordings of both personas

Frozen in dvc.yaml, as one organism takes minutes: `make benchmark` runs it.
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
        "writes into this folder scores of every head by each method, head sets of each method "
        "patched, what a method costs, and the heads whose weights lie (Parquet)",
    ],
) -> None:
    """Score heads on `selection`; patch head sets and graft weights on `report`."""
    section = params.section("benchmark", BenchmarkConfig)
    with atomic(out) as folder, _made(name, organisms, 1.0) as model:
        folder.mkdir()
        selection = _bench(section, pairs, model, organisms)
        report = _read(selection, pairs, "report", section.report_limit)
        resampled = _read(selection, pairs, "selection", section.stability_limit)
        measured = {key: selection.timed(method) for key, method in methods.METHODS.items()}
        orders = {key: scores.mean(axis=0) for key, (scores, _) in measured.items()}
        scored = [_scores(selection, 1.0, key, scores) for key, (scores, _) in measured.items()]
        for dose in section.doses:
            with _made(name, organisms, dose) as dosed:
                bench = _bench(section, pairs, dosed, organisms)
                cheap = {key: methods.METHODS[key](bench) for key in methods.CHEAP}
            scored += [_scores(bench, dose, key, scores) for key, scores in cheap.items()]
        more = {key: resampled.timed(methods.METHODS[key]) for key in methods.RESAMPLED}
        again = [_scores(resampled, 1.0, key, scores) for key, (scores, _) in more.items()]
        costs = [
            {"method": f"{key}{suffix}", **vars(cost)}
            for suffix, some in (("", measured), (MORE, more))
            for key, (_, cost) in some.items()
        ]
        rival, sets = curves.rivals(selection, report, orders[methods.BEST])
        sets_of = pl.concat([curves.run(report, orders), rival])
        key = ["dose", "method", "layer", "head", *IDS]
        tables.write(folder / "scores.parquet", pl.concat(scored), SCORES, key)
        tables.write(folder / "resampled.parquet", pl.concat(again), SCORES, key)
        tables.write(folder / "curves.parquet", sets_of, CURVES, ["method", "n_heads", *IDS])
        tables.write(folder / "costs.parquet", pl.DataFrame(costs, COSTS), COSTS, ["method"])
        tables.write(folder / "truth.parquet", truth.run(report), TRUTH, ["layer", "head", *IDS])
        tables.write_json(folder / "sets.json", sets)


@contextmanager
def _made(name: str, organisms: Path, dose: float) -> Generator[Path]:
    """Make the folder of an organism, whatever params.yaml's is."""
    config = replace(params.section("model", ModelConfig), organism=name)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        folder.mkdir()
        model_folder.make(config, organisms, folder, dose)
        yield folder


def _bench(section: BenchmarkConfig, pairs: Path, model: Path, organisms: Path) -> Bench:
    """Statements that methods see, and what methods may do with them."""
    setting = experiment.load(pairs, model, ("selection",), section.limit)
    of_probes = prompt_pairs.read(pairs, ("selection",), section.probe_limit, by="split")
    organism = tables.read_json(model / language_model.MANIFEST)["organism"]
    adapter = organisms / organism["name"] if organism["layers"] else None
    changes = weights.changes(setting.lm, adapter) if adapter else {}
    placed, everywhere = _placed(setting)
    return Bench(
        setting=placed,
        everywhere=everywhere,
        probed=replace(setting, pairs=of_probes),
        adapter=adapter,
        changes=changes,
        section=section,
    )


def _read(bench: Bench, pairs: Path, split: str, limit: int | None) -> Bench:
    """The same with other statements."""
    about = prompt_pairs.read(pairs, (split,), limit, by="split")
    setting, everywhere = _placed(replace(bench.setting, pairs=about))
    return replace(bench, setting=setting, everywhere=everywhere)


def _placed(setting: Experiment) -> tuple[Experiment, list[blocks.Pairs]]:
    """Statements whose wordings are found in both prompts, and all of their paired positions."""
    found, pairs = aligned.placed(setting, "benchmark")
    about, everywhere = found.pairs, [blocks.with_last(p) for p in pairs]
    lengths = [min(map(len, both)) for both in zip(about.base, about.source, strict=True)]
    kept = sorted(i for part in aligned.groups(everywhere, lengths) for i in part)
    some = about.only(about.table["statement_id"][kept])
    return replace(setting, pairs=some), [everywhere[i] for i in kept]


def _scores(bench: Bench, dose: float, method: str, scores: Values) -> pl.DataFrame:
    """Rows of one method; a method that is no mean over statements has one row per head."""
    ids = bench.setting.pairs.table["statement_id"]
    each = len(scores) == len(ids)
    row, layer, head = (axis.ravel() for axis in np.indices(scores.shape))
    columns = {"layer": layer, "head": head, "score": scores.ravel()}
    table = pl.DataFrame(columns).with_columns(
        dose=pl.lit(dose),
        method=pl.lit(method),
        statement_id=ids.gather(row) if each else pl.lit(EVERY),
    )
    return table.select(pl.col(name).cast(dtype) for name, dtype in SCORES.items())


if __name__ == "__main__":
    cli.run(main)
