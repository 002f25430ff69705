"""How time grows with statements, prompt length, patches and layers, one of them at a time.

python -m tests.bench.growth --model data/model --out tests/bench
"""

import argparse
import itertools
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import polars as pl
import seaborn as sns
import torch
from transformers import AutoTokenizer

from stages.lib import forward
from stages.lib.drawing import style
from stages.lib.forward import activations
from stages.lib.model import lm
from stages.lib.model.readout import Answers
from stages.lib.patching import patch
from tests.bench import common

START = {"statements": 16, "shared tokens": 64, "own tokens": 36, "patches": 8, "layers": 16}
AXES = {
    "statements": [4, 8, 16, 32, 64],
    "shared tokens": [1, 64, 256, 1024],
    "own tokens": [28, 36, 72, 144],
    "patches": [2, 4, 8, 16, 32],
    "layers": [4, 8, 16, 30],
}
TAIL = 25
ROUNDS = 3


def main(model: Path, out: Path) -> None:
    """Time every point in interleaved rounds; write the rows and a picture."""
    loaded = common.load(model)
    tokenizer = AutoTokenizer.from_pretrained(str(model))
    points = [START | {axis: value} | {"axis": axis} for axis, v in AXES.items() for value in v]
    rows = []
    for _, point in itertools.product(range(ROUNDS), points):
        rows += [point | {"job": job, "seconds": s} for job, s in _time(loaded, tokenizer, point)]
    table = pl.DataFrame(rows)
    table.write_json(out / "growth.json")
    for axis, job in itertools.product(AXES, ("capture", "patches")):
        some = table.filter((pl.col("axis") == axis) & (pl.col("job") == job))
        least = some.group_by(axis).agg(pl.min("seconds")).sort(axis)
        slope = np.polyfit(np.log(least[axis]), np.log(least["seconds"]), 1)[0]
        print(f"{job} by {axis}: {least.rows()}, time ~ {axis}^{slope:.2f}")
    _draw(table, out / "growth.png")


def _time(model: Any, tokenizer: Any, point: dict[str, Any]) -> list[tuple[str, float]]:
    """Seconds to capture one persona, and to patch single heads when base and source are run."""
    layers = model.model.layers
    model.model.layers = layers[: point["layers"]]
    model.config.num_hidden_layers = point["layers"]
    try:
        subject = lm.describe(model, tokenizer, identity="")
        return _jobs(subject, point)
    finally:
        model.model.layers = layers
        model.config.num_hidden_layers = len(layers)


def _jobs(subject: lm.LanguageModel, point: dict[str, Any]) -> list[tuple[str, float]]:
    """Both jobs at one point."""
    random = np.random.default_rng(0)

    def prompts() -> list[list[int]]:
        shared = random.integers(100, 40000, point["shared tokens"]).tolist()
        own = random.integers(100, 40000, (point["statements"], point["own tokens"])).tolist()
        return [shared + row for row in own]

    base, source = prompts(), prompts()
    answers = Answers((1,), (2,))
    places = np.linspace(0, subject.n_layers * subject.n_heads - 1, point["patches"]).astype(int)
    heads = [[patch.Head(*divmod(int(place), subject.n_heads))] for place in places]
    patches = patch.of_heads(heads, subject.n_layers, subject.n_heads)
    patcher = forward.Patcher(subject, answers, base, source, TAIL, keep=True)
    patcher(patches[:1], "")  # base and source runs are made, and kept
    result = []
    jobs = {
        "capture": lambda: list(forward.capture(subject, answers, base, [-1], len(base), "")),
        "patches": lambda: patcher(patches, ""),
    }
    with mock.patch.object(activations, "shortcut_is_exact", return_value=True):
        for job, work in jobs.items():
            start = time.perf_counter()
            work()
            result.append((job, time.perf_counter() - start))
    return result


def _draw(table: pl.DataFrame, file: Path) -> None:
    """Seconds against each axis, on logarithmic scales; a straight line of slope 1 is linear."""
    rows = [row | {"value": row[row["axis"]]} for row in table.to_dicts()]
    with style.theme():
        grid = sns.relplot(
            pl.DataFrame(rows).to_dict(as_series=False), kind="line", x="value", y="seconds",
            hue="job", col="axis", marker="o", estimator="min", errorbar=None, height=2.4,
            facet_kws={"sharex": False},
        )  # fmt: skip
        grid.set(xscale="log", yscale="log")
        for axis, ax in grid.axes_dict.items():
            ax.set_title("")
            ax.set_xlabel(axis)
            ax.set_xticks(AXES[axis], [str(value) for value in AXES[axis]])
            ax.set_xticks([], minor=True)
        grid.savefig(file)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("data/model"))
    parser.add_argument("--out", type=Path, default=Path("tests/bench"))
    main(**vars(parser.parse_args()))
