"""Time of patches by how far they reach back into the tokens that all prompts share.

python -m tests.bench.reach --model data/model --out tests/bench
"""

import argparse
import itertools
import json
import statistics
import time
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from stages.lib import forward
from stages.lib.forward import patcher as patchers
from stages.lib.model import lm
from stages.lib.model.readout import Answers
from tests.bench import common

N_STATEMENTS, N_SHARED, N_OWN = 20, 64, (17, 26)  # as in the default run
REACHES = (45, 55, 80)  # last positions: up to question, user turn and system prompt
LAYERS = range(0, 30, 3)
ROUNDS = 2


def main(model: Path, out: Path) -> None:
    """Patch single layers in interleaved rounds, with and without a stem; write the medians."""
    subject = lm.describe(common.load(model), None, identity="")
    base, source = prompts(1), prompts(2)
    seconds: dict[tuple[int, bool], list[float]] = {}
    for _, reach, known in itertools.product(range(ROUNDS), REACHES, (False, True)):
        # Without a known prefix, only tokens before the patched positions are taken as shared.
        prefixes = (base[0][:N_SHARED], source[0][:N_SHARED]) if known else (None, None)
        seconds.setdefault((reach, known), []).append(run(subject, base, source, reach, prefixes))
    rows = [
        {"reach": reach, "per prompt": before, "per patch": after, "ratio": before / after}
        for reach in REACHES
        for before, after in [[statistics.median(seconds[reach, known]) for known in (False, True)]]
    ]
    (out / "reach.json").write_text(json.dumps(rows, indent=1) + "\n")
    for row in rows:
        print({name: round(value, 2) for name, value in row.items()})


def prompts(seed: int) -> list[list[int]]:
    """Prompts of random tokens that share their first ones."""
    random = np.random.default_rng(seed)
    shared = random.integers(100, 40000, N_SHARED).tolist()
    lengths = np.linspace(*N_OWN, N_STATEMENTS).astype(int)
    return [[*shared, *random.integers(100, 40000, n).tolist()] for n in lengths]


def run(
    subject: lm.LanguageModel,
    base: list[list[int]],
    source: list[list[int]],
    reach: int,
    prefixes: tuple[list[int] | None, list[int] | None],
) -> float:
    """Return the seconds of one patched run per layer and prompt."""
    with mock.patch.object(patchers, "shortcut_is_exact", return_value=True):
        patcher = forward.Patcher(
            subject, Answers((1,), (2,)), base, source, reach, True, prefixes=prefixes
        )
    patches = np.zeros((len(LAYERS), subject.n_layers, subject.n_heads), bool)
    patches[np.arange(len(LAYERS)), list(LAYERS)] = True
    # The same shared tokens in all prompts: as many as all tails reach.
    first = N_SHARED - max(0, reach - N_OWN[1])
    at = np.array([np.arange(len(ids) - reach, len(ids)) >= first for ids in base])
    patcher(patches[:1], "", at=at)  # base and source runs are made, and kept
    start = time.perf_counter()
    patcher(patches, "", at=at)
    return time.perf_counter() - start


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("data/model"))
    parser.add_argument("--out", type=Path, default=Path("tests/bench"))
    main(**vars(parser.parse_args()))
