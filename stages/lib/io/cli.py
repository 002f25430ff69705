"""From a command line to a stage's `main`, and from a user's mistake to one clear line."""

import argparse
import errno
import inspect
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

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
    """Call `main` with one required ``--option`` for each of its parameters.

    Parameters
    ----------
    main : callable
        Every parameter is annotated with the type that converts its text (`str`, `Path`, …).

    Raises
    ------
    SystemExit
        With status 1 and one line on standard error where `main` raised `UserError`, or the system
        refuses a file; with status 130 after Ctrl-C.
    """
    module = inspect.getmodule(main)
    parser = argparse.ArgumentParser(
        description=inspect.getdoc(module),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, parameter in inspect.signature(main).parameters.items():
        parser.add_argument(f"--{name}", type=parameter.annotation, required=True)
    try:
        main(**vars(parser.parse_args()))
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except OSError as error:
        if error.errno not in DISK or error.filename is None:
            raise
        sys.exit(f"error: {error.filename}: {error.strerror}")
    file = os.environ.get("STAGE_TIMES")
    if file and os.environ.get("RANK", "0") == "0":  # a launcher numbers its processes
        _note_time(Path(file))


def _note_time(file: Path) -> None:
    """Append how long this process has lived, imports included, to a table of stages.

    Its work is done: where the table cannot be written, that is said, and no reason to fail.
    """
    seconds = time.time() - psutil.Process().create_time()
    try:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(f"{os.environ.get('DVC_STAGE', sys.argv[0])}\t{seconds:.1f}\n")
    except OSError as error:
        print(f"{file}: time not noted: {error.strerror}", file=sys.stderr)
