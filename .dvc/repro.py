"""`dvc repro`, with a line before each stage that runs: which of how many, and how long is left.

    stage 12 of 53, about 9 min left

The times are those of earlier runs. Where a stage to come has never run, the line says "at least";
in the first run it leaves out the time. In CI there is no such line. DVC's warning of frozen stages
is left out: they are frozen on purpose, as dvc.yaml says.
All else is as `dvc repro` does it, in this process: output, exit status, Ctrl-C.
"""

import contextlib
import json
import logging
import os
import re
import sys
import time
from pathlib import Path

from dvc.cli import main
from dvc.exceptions import DvcException
from dvc.repo import Repo

FROZEN = "is frozen. Its dependencies are not going to be reproduced"
FILE = Path(".dvc/tmp/stage_seconds.json")
RUNS = re.compile(r"Running stage '(.+)':")
SKIPS = re.compile(r"(?:Stage )?'(.+)' (?:didn't change, skipping|is cached - skipping run.*)")


class Progress(logging.Handler):
    """Hears which stages DVC runs and skips, prints the line, and keeps the time of each.

    Attributes
    ----------
    seconds : dict of str to float or None
        By stage, how long it took when it last ran, with what DVC does around it; None if it has
        not run.
    seen : list of str
        Stages that this run has come to, in order.
    """

    def __init__(self, seconds: dict[str, float | None]) -> None:
        super().__init__(logging.INFO)
        self.seconds = seconds
        self.seen: list[str] = []
        self._known = dict(seconds)
        self._running: tuple[str, float] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Take one line of DVC's."""
        text = record.getMessage()
        runs, skips = RUNS.fullmatch(text), SKIPS.fullmatch(text)
        if stage := runs or skips:
            self.end()
            self.seen.append(stage[1])
        if runs:
            self._running = runs[1], time.monotonic()
            if self._known and "CI" not in os.environ:
                print(self.line(), flush=True)

    def end(self) -> None:
        """Note that the stage that was running is done."""
        if self._running:
            stage, start = self._running
            self.seconds[stage] = round(time.monotonic() - start, 3)
        self._running = None

    def line(self) -> str:
        """Say how far this run is; stages to come count whether or not they will be skipped."""
        every = self._known.keys() | {self.seen[-1]}
        before = self.seen[:-1]
        times = [seconds for stage, seconds in self._known.items() if stage not in before]
        known = [seconds for seconds in times if seconds is not None]
        number = 1 + len(self._known.keys() & set(before))
        about = "about" if len(known) == len(times) else "at least"
        left = f", {about} {spoken(sum(known))} left" if known else ""
        return f"stage {number} of {len(every)}{left}"


def spoken(seconds: float) -> str:
    """A time as one says it."""
    if seconds < 95:
        return f"{max(1, round(seconds / 10)) * 10} s"
    return f"{round(seconds / 60)} min" if seconds < 5700 else f"{seconds / 3600:.1f} h"


def remembered() -> dict[str, float | None]:
    """Seconds of each stage's last run; empty where there is none, or the file is damaged."""
    try:
        times = json.loads(FILE.read_text(encoding="utf-8"))
        return {str(k): None if v is None else float(v) for k, v in times.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def listed() -> list[str]:
    """Stages of the pipeline that are not frozen; none where DVC cannot read it, as it will say."""
    with contextlib.suppress(DvcException), Repo() as repo:
        return [stage.addressing for stage in repo.index.stages if stage.cmd and not stage.frozen]
    return []


def repro() -> int:
    """Run `dvc repro`, and return its status."""
    known, stages = remembered(), listed()
    progress = Progress({stage: known.get(stage) for stage in stages or known})
    handlers = logging.getLogger("dvc").handlers
    for handler in handlers:
        handler.addFilter(lambda record: FROZEN not in str(record.msg))
    handlers.insert(0, progress)  # the line comes before DVC's own
    status = main(["repro"])
    if status == 0:
        progress.end()
        for stage, seconds in list(progress.seconds.items()):
            if seconds is None or stage not in progress.seen:  # skipped, or no longer a stage
                del progress.seconds[stage]
    with contextlib.suppress(OSError):
        partial = FILE.with_suffix(".partial")
        partial.write_text(json.dumps(progress.seconds, indent=1), encoding="utf-8")
        partial.replace(FILE)
    return status


if __name__ == "__main__":
    sys.exit(repro())
