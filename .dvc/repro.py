"""`dvc repro`, with a line before each stage that runs: which of how many, and how long is left.

    stage 12 of 51, about 9 min left

The times are those of earlier runs; the first run has none, and prints no such line. Nor does a
run in CI. DVC's warning of frozen stages is left out: they are frozen on purpose, as dvc.yaml says.
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

FROZEN = "is frozen. Its dependencies are not going to be reproduced"
FILE = Path(".dvc/tmp/stage_seconds.json")
RUNS = re.compile(r"Running stage '(.+)':")
SKIPS = re.compile(r"(?:Stage )?'(.+)' (?:didn't change, skipping|is cached - skipping run.*)")


class Progress(logging.Handler):
    """Hears which stages DVC runs and skips, prints the line, and keeps the time of each.

    Attributes
    ----------
    seconds : dict of str to float
        By stage, how long it took when it last ran, with what DVC does around it.
    seen : list of str
        Stages that this run has come to, in order.
    """

    def __init__(self, seconds: dict[str, float]) -> None:
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
            self.seconds[stage] = round(time.monotonic() - start, 1)
        self._running = None

    def line(self) -> str:
        """Say how far this run is; stages to come count whether or not they will be skipped."""
        every = self._known.keys() | {self.seen[-1]}
        before = self.seen[:-1]
        left = sum(seconds for stage, seconds in self._known.items() if stage not in before)
        number = 1 + len(self._known.keys() & set(before))
        return f"stage {number} of {len(every)}, about {spoken(left)} left"


def spoken(seconds: float) -> str:
    """A time as one says it."""
    if seconds < 95:
        return f"{max(1, round(seconds / 10)) * 10} s"
    return f"{round(seconds / 60)} min" if seconds < 5700 else f"{seconds / 3600:.1f} h"


def remembered() -> dict[str, float]:
    """Seconds of each stage's last run; empty where there is none, or the file is damaged."""
    try:
        return {str(k): float(v) for k, v in json.loads(FILE.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def repro() -> int:
    """Run `dvc repro`, and return its status."""
    progress = Progress(remembered())
    handlers = logging.getLogger("dvc").handlers
    for handler in handlers:
        handler.addFilter(lambda record: FROZEN not in str(record.msg))
    handlers.insert(0, progress)  # the line comes before DVC's own
    status = main(["repro"])
    if status == 0:
        progress.end()
        for stage in progress.seconds.keys() - set(progress.seen):
            del progress.seconds[stage]  # of a pipeline that has changed
    with contextlib.suppress(OSError):
        partial = FILE.with_suffix(".partial")
        partial.write_text(json.dumps(progress.seconds, indent=1), encoding="utf-8")
        partial.replace(FILE)
    return status


if __name__ == "__main__":
    sys.exit(repro())
