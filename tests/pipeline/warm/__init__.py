"""Commands of a project answered by forks of one process, see `server`."""

import functools
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

HERE = Path(__file__).parent
HUB = {"HF_HUB_OFFLINE": "1", "HF_HOME": "cache"}
"""An environment that packages read when they are imported: it needs a server of its own."""
_held: list[IO[str] | None] = []


def commands(environment: dict[str, str]) -> list[str]:
    """Folders for the front of PATH: of commands that ask a server, if one can."""
    hub = {key: value for key, value in environment.items() if key.startswith("HF_")}
    return [_started(bool(hub))] if hub in ({}, HUB) else []


@functools.cache
def _started(hub: bool) -> str:
    """Start a server, which ends with this process, and make the commands."""
    folder = Path(tempfile.mkdtemp())  # a socket's path has at most a hundred characters
    command = [sys.executable, HERE / "server.py", folder / "socket"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | (HUB if hub else {})
    server = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdout
    assert server.stdout.readline() == "ready\n"
    _held.append(server.stdin)  # when it is closed, the server ends
    for name in ("python", "dvc", "torchrun"):
        python, client = sys.executable, HERE / "client.py"
        asking = shlex.join(map(str, [python, "-IS", client, folder / "socket", python, name]))
        (folder / name).write_text(f'#!/bin/sh\nexec {asking} "$@"\n')
        (folder / name).chmod(0o755)
    return str(folder)
