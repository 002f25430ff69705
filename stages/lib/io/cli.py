"""Calls a stage's `main` with command-line options, and reports a user's mistake in one line."""

import argparse
import errno
import inspect
import os
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn, get_args, get_type_hints

import psutil

Statements = Annotated[Path, "statements, true and false (Parquet)"]
Known = Annotated[Path, "which statements the neutral persona knows (Parquet)"]
Model = Annotated[Path, "folder with the model's manifest, as stage `model` wrote it"]
Activations = Annotated[Path, "folder of activations, one folder of shards per persona"]
Pairs = Annotated[Path, "each statement with its prompts in both personas (Parquet)"]
HeadSet = Annotated[Path, "the head set and the window of layers it was searched in (JSON)"]
Runs = Annotated[Path, "patched runs, a file or a folder, as the sweep wrote them"]
MetricsFolder = Annotated[Path, "folder of all stages' metrics"]
Metrics = Annotated[Path, "writes metrics (JSON)"]

counts: Counter[str] = Counter()
"""Number of runs ``remembered`` (read from the store) and ``computed``; printed at the end."""

TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN")
PASSWORD = re.compile(r"([a-z][a-z0-9+.-]*://)[^/\s@'\"]+@", re.IGNORECASE)
MASK = "***"
MIN_TOKEN_LENGTH = 8  # characters; real tokens are longer, a shorter value could be a word
PROCESS_GONE = re.compile(
    r"gloo.*(closed by peer|reset by peer|Broken pipe)|remote process exited", re.DOTALL
)
"""Messages of gloo and NCCL when another process has ended."""
INTERRUPTED = 128 + 2  # exit status that shells use for a process ended by Ctrl-C
WRITE_ERRORS = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EEXIST,
    errno.EFBIG,
    errno.EIO,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}
"""Error numbers for a file that the system does not let us write."""


class UserError(Exception):
    """A mistake that the user can correct; its text is the one line that they see."""


def run(main: Callable[..., None]) -> None:
    """Call `main` with the options of the command line.

    Parameters
    ----------
    main : callable
        See `parser`.

    Raises
    ------
    SystemExit
        With status 1 and one line on standard error if `main` raises `UserError`, the system
        refuses to write a file, or another process of the same launcher has ended. With status
        130 after Ctrl-C.
    """
    options = vars(parser(main).parse_args())
    try:
        main(**options)
    except UserError as error:
        sys.exit(f"error: {without_secrets(str(error))}")
    except KeyboardInterrupt:
        _interrupted()
    except RuntimeError as error:
        if not PROCESS_GONE.search(str(error)):
            raise
        sys.exit("another process of this run has ended, and so does this one")
    except OSError as error:
        if error.errno not in WRITE_ERRORS or error.filename is None:
            raise
        sys.exit(f"error: {error.filename}: {error.strerror}")
    if _is_first():
        if counts:
            print(f"{counts['remembered']:,} runs remembered, {counts['computed']:,} computed")
        if file := os.environ.get("STAGE_TIMES"):
            _note_time(Path(file))


def _is_first() -> bool:
    """Whether this is the only process, or the launcher's process of rank 0."""
    return os.environ.get("RANK", "0") == "0"


def _interrupted() -> NoReturn:
    """Print once that Ctrl-C interrupted the stage, and exit."""
    if _is_first():
        print("interrupted", file=sys.stderr, flush=True)
    if "RANK" in os.environ:
        os._exit(INTERRUPTED)  # torch would abort: a thread of it waits for other processes
    sys.exit(INTERRUPTED)


def without_secrets(text: str) -> str:
    """Mask passwords in addresses and the token of the Hugging Face hub, before a text is printed.

    Parameters
    ----------
    text : str
        A message; parts of it may come from another program or from params.yaml.
    """
    for name in TOKENS:
        if len(token := os.environ.get(name, "")) >= MIN_TOKEN_LENGTH:
            text = text.replace(token, MASK)
    return PASSWORD.sub(rf"\1{MASK}@", text)


def parser(main: Callable[..., None]) -> argparse.ArgumentParser:
    """Make an argument parser with one required ``--option`` per parameter of `main`.

    Parameters
    ----------
    main : callable
        Every parameter is an ``Annotated[TYPE, HELP]``. TYPE converts the text (`str`, `Path`, …).
    """
    argument_parser = argparse.ArgumentParser(
        prog=_command(main),
        description=inspect.getdoc(inspect.getmodule(main)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, hint in get_type_hints(main, include_extras=True).items():
        if name != "return":
            convert, text = get_args(hint)
            argument_parser.add_argument(f"--{name}", type=convert, required=True, help=text)
    return argument_parser


def _command(main: Callable[..., None]) -> str | None:
    """Return the command that starts the module of `main`; None for code outside a module."""
    spec = getattr(inspect.getmodule(main), "__spec__", None)
    return spec and f"python -m {spec.name.removesuffix('.__main__')}"


def _note_time(file: Path) -> None:
    """Append this process's run time (seconds) and peak memory (MiB) to a table of stages.

    The stage's work is done by then: if the table cannot be written, that is printed and ignored.
    """
    seconds = time.time() - psutil.Process().create_time()
    unit = 1 if sys.platform == "darwin" else 1024  # bytes per unit of ru_maxrss
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    try:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(
                f"{os.environ.get('DVC_STAGE', sys.argv[0])}\t{seconds:.1f}\t{peak_mib:.0f}\n"
            )
    except OSError as error:
        print(f"{file}: time not noted: {error.strerror}", file=sys.stderr)
