"""From a command line to a stage's `main`, and from a user's mistake to one clear line."""

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
HeadSet = Annotated[Path, "the head set, and the window that it is of (JSON)"]
Runs = Annotated[Path, "patched runs, as the sweep wrote them (Parquet)"]
MetricsFolder = Annotated[Path, "folder of all stages' metrics"]
Metrics = Annotated[Path, "writes metrics (JSON)"]

counts: Counter[str] = Counter()
"""Runs that were ``remembered`` and ``computed``, to be printed at the end."""

TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN")
PASSWORD = re.compile(r"([a-z][a-z0-9+.-]*://)[^/\s@'\"]+@", re.IGNORECASE)
HIDDEN = "***"
SECRET = 8  # characters; a token has more, and less could be a word
LOST = re.compile(
    r"gloo.*(closed by peer|reset by peer|Broken pipe)|remote process exited", re.DOTALL
)
"""What gloo and NCCL say where another process is gone."""
INTERRUPTED = 128 + 2  # as a shell counts a process that Ctrl-C ended
DISK = {
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
"""What the system says of a file that cannot be written, and that no code can help."""


class UserError(Exception):
    """A mistake that the user can mend; its text is the one line they see."""


def run(main: Callable[..., None]) -> None:
    """Call `main` with the options of the command line.

    Parameters
    ----------
    main : callable
        See `parser`.

    Raises
    ------
    SystemExit
        With status 1 and one line on standard error where `main` raised `UserError`, or the system
        refuses a file, or another process that the launcher started has ended; with status 130
        after Ctrl-C.
    """
    options = vars(parser(main).parse_args())
    try:
        main(**options)
    except UserError as error:
        sys.exit(f"error: {without_secrets(str(error))}")
    except KeyboardInterrupt:
        _interrupted()
    except RuntimeError as error:
        if not LOST.search(str(error)):
            raise
        sys.exit("another process of this run has ended, and so does this one")
    except OSError as error:
        if error.errno not in DISK or error.filename is None:
            raise
        sys.exit(f"error: {error.filename}: {error.strerror}")
    if _is_first():
        if counts:
            print(f"{counts['remembered']:,} runs remembered, {counts['computed']:,} computed")
        if file := os.environ.get("STAGE_TIMES"):
            _note_time(Path(file))


def _is_first() -> bool:
    """Whether this is the only process, or the first of those that a launcher numbers."""
    return os.environ.get("RANK", "0") == "0"


def _interrupted() -> NoReturn:
    """Say once that Ctrl-C ended the stage, and end."""
    if _is_first():
        print("interrupted", file=sys.stderr, flush=True)
    if "RANK" in os.environ:
        os._exit(INTERRUPTED)  # torch would abort: a thread of it still waits for other processes
    sys.exit(INTERRUPTED)


def without_secrets(text: str) -> str:
    """Blot out passwords in addresses and the hub's token: what is printed ends up in logs.

    Parameters
    ----------
    text : str
        A message; parts of it may be of another program, or of params.yaml.
    """
    for name in TOKENS:
        if len(token := os.environ.get(name, "")) >= SECRET:
            text = text.replace(token, HIDDEN)
    return PASSWORD.sub(rf"\1{HIDDEN}@", text)


def parser(main: Callable[..., None]) -> argparse.ArgumentParser:
    """Make one required ``--option`` of each parameter of `main`.

    Parameters
    ----------
    main : callable
        Every parameter is an ``Annotated[TYPE, HELP]``. TYPE converts the text (`str`, `Path`, …).
    """
    made = argparse.ArgumentParser(
        prog=_command(main),
        description=inspect.getdoc(inspect.getmodule(main)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, hint in get_type_hints(main, include_extras=True).items():
        if name != "return":
            convert, text = get_args(hint)
            made.add_argument(f"--{name}", type=convert, required=True, help=text)
    return made


def _command(main: Callable[..., None]) -> str | None:
    """Return what starts the module of `main`; nothing for code that is no module."""
    spec = getattr(inspect.getmodule(main), "__spec__", None)
    return spec and f"python -m {spec.name.removesuffix('.__main__')}"


def _note_time(file: Path) -> None:
    """Append to a table of stages how long this process has lived, and the most memory it held.

    Its work is done: where the table cannot be written, that is said, and no reason to fail.
    """
    seconds = time.time() - psutil.Process().create_time()
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    try:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(f"{os.environ.get('DVC_STAGE', sys.argv[0])}\t{seconds:.1f}\t{most:.0f}\n")
    except OSError as error:
        print(f"{file}: time not noted: {error.strerror}", file=sys.stderr)
