"""One file per node of the DAG; `dvc dag` draws how they follow each other."""

import os
import sys
from types import TracebackType


def _end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End on Ctrl-C as `cli.run` does, also while modules are imported, which takes seconds."""
    if issubclass(kind, KeyboardInterrupt):
        if os.environ.get("RANK", "0") == "0":  # of several processes the first one says so
            print("interrupted", file=sys.stderr, flush=True)
        os._exit(128 + 2)  # otherwise Python would end itself by the signal once more
    sys.__excepthook__(kind, error, trace)


sys.excepthook = _end
