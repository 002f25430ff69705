"""Kill stages at random moments, run them again, and compare with what was not disturbed.

python -m tests.bench.kill --kills 50 --out tests/bench/kill.json

Stages that run the model start over and over with an empty store; each is killed once (SIGKILL) at
a random moment, and run again. Its outs must have the bytes of an undisturbed run. What was kept is
not computed twice, but for runs whose activations are asked for (means of z in `controls`), and
`activations` that were killed after their folder was whole.
"""

import argparse
import json
import os
import random
import re
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dvc.utils.serialize import modify_yaml

from tests.pipeline.closure import ROOT, declared, run_the_model

STAGES = sorted(run_the_model() - {"attribution_patching", "logit_attribution"})  # no runs kept
LIMITS = {
    "windows": {"limit": 8},
    "single_heads": {"limit": 2},
    "heads": {"limit": 8},
    "transplant": {"limit": 2, "random_limit": 1},
    "grid": {"systems": ["honest", "manner"], "limit": 2},
    "widths": {"limit": 2, "report_limit": 1},
    "positions": {"limit": 12},
    "set_sizes": {"limit": 2, "search_limit": 4},
    "robustness": {"choose": 1, "limit": 1},
    "controls": {"limit": 2},
    "erasure": {"limit": 8, "sizes": [5]},
}
GIVE_ACTIVATIONS = {"activations", "controls"}  # which are not kept, as answers are
COUNTS = re.compile(r"^([\d,]+) runs remembered, ([\d,]+) computed$", re.MULTILINE)


class Stage:
    """A stage with its outs in a folder of its own.

    Parameters
    ----------
    name : str
        Of dvc.yaml.
    folder : Path
        Where it runs: with params.yaml, and the pipeline's data under `data`.
    """

    def __init__(self, name: str, folder: Path) -> None:
        stage = declared()[name]
        self.name, self.folder = name, folder
        # what dvc does with a command: of a matrix, the liar's
        command = stage["cmd"].replace("\\$", "$")
        self.outs = [out.replace("${item.persona}", "liar") for out in stage["outs"]]
        command = command.replace("${DVC_STAGE##*@}", "liar")
        for out in self.outs:
            command = command.replace(out, f"out/{Path(out).parent.name}_{Path(out).name}")
        self.command = command

    def start(self, cache: Path) -> "subprocess.Popen[str]":
        """Start it with a store in `cache`, and a note of what it computes beside that."""
        traced = "python -m tests.bench.kill --traced"
        return subprocess.Popen(
            ["bash", "-c", f"exec {self.command}"],
            cwd=self.folder,
            env=os.environ
            | {"LAUNCHER": traced, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def finish(self, cache: Path) -> tuple[dict[str, bytes], int]:
        """Run it to its end: the bytes of its outs, and how many runs it computed."""
        process = self.start(cache)
        said, _ = process.communicate()
        assert process.returncode == 0, f"{self.name}: {said}"
        out = self.folder / "out"
        files = {str(f.relative_to(out)): f.read_bytes() for f in out.rglob("*") if f.is_file()}
        return files, sum(int(computed.replace(",", "")) for _, computed in COUNTS.findall(said))

    def clear(self) -> None:
        """Remove the outs, as DVC does before it runs a stage; what stands beside them stays."""
        for out in (self.folder / "out").glob("*"):
            if not out.name.endswith(".partial"):
                shutil.rmtree(out) if out.is_dir() else out.unlink()


def main(kills: int, out: Path, seed: int = 0) -> None:
    """Kill every stage in turn; write one row per kill, as soon as it is done."""
    chance = random.Random(seed)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder)
        known: dict[str, tuple[dict[str, bytes], int, float]] = {}
        for number in range(kills):
            stage = Stage(STAGES[number % len(STAGES)], folder)
            if stage.name not in known:
                shutil.rmtree(folder / "out", ignore_errors=True)
                begun = time.perf_counter()
                undisturbed = stage.finish(folder / f"cache {stage.name}")
                known[stage.name] = (*undisturbed, time.perf_counter() - begun)
            shutil.rmtree(folder / "out", ignore_errors=True)
            rows.append(_kill(stage, *known[stage.name], folder / f"cache {number}", chance))
            print(rows[-1], flush=True)
            out.write_text(json.dumps(rows, indent=1) + "\n")
    assert all(row["same_bytes"] for row in rows), "bytes differ"
    twice = {row["stage"] for row in rows if row["computed_twice"]}
    assert twice <= GIVE_ACTIVATIONS, "what was kept was computed again"


def _kill(
    stage: Stage,
    files: dict[str, bytes],
    n_runs: int,
    seconds: float,
    cache: Path,
    chance: random.Random,
) -> dict[str, Any]:
    """Kill a stage once and run it again."""
    moment = chance.uniform(0.3, 1.0) * seconds
    process = stage.start(cache)
    try:
        process.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    made, kept = _traced(cache)
    stage.clear()
    again, computed = stage.finish(cache)
    return {
        "stage": stage.name,
        "killed_at": round(moment, 2),
        "of_seconds": round(seconds, 2),
        "ended_before": process.returncode == 0,
        "runs": n_runs,
        "kept": kept,
        "made_but_not_kept": made - kept,
        "computed_again": computed,
        "computed_twice": max(0, computed + kept - n_runs),
        "same_bytes": again == files,
    }


def _prepare(folder: Path) -> None:
    """Make a folder in which stages find their inputs, with less to do."""
    (folder / "data").mkdir()
    for file in (ROOT / "data").iterdir():
        (folder / "data" / file.name).symlink_to(file)
    shutil.copy(ROOT / "params.yaml", folder / "params.yaml")
    with modify_yaml(str(folder / "params.yaml")) as params:
        for section, values in LIMITS.items():
            params[section].update(values)


def _traced(cache: Path) -> tuple[int, int]:
    """How many runs were computed, and how many of them were kept."""
    file = cache / "trace"
    lines = file.read_text().splitlines() if file.is_file() else []
    made, kept = (
        sum(int(line.split()[1]) for line in lines if line.startswith(what))
        for what in ("made", "kept")
    )
    return made, kept


def traced(module: str) -> None:
    """Run a stage, and note what it computes before and after that is kept."""
    from stages.lib.forward.memory import Memory

    file = Path(os.environ["XDG_CACHE_HOME"]) / "trace"
    file.parent.mkdir(parents=True, exist_ok=True)
    keep = Memory.keep

    def noted(self: Memory, keys: Any, values: Any) -> None:
        n = len(set(keys))
        with file.open("a") as stream:
            stream.write(f"made {n}\n")
        keep(self, keys, values)
        with file.open("a") as stream:
            stream.write(f"kept {n}\n")

    Memory.keep = noted
    sys.argv = [sys.argv[0], *sys.argv[4:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    if sys.argv[1] == "--traced":  # --traced -m MODULE …
        traced(sys.argv[3])
    else:
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("--kills", type=int, default=50)
        parser.add_argument("--out", type=Path, required=True)
        main(**vars(parser.parse_args()))
