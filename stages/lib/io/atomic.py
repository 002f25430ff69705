"""A file or folder that appears whole or not at all."""

import errno
import os
import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from stages.lib.io.cli import DISK, UserError


@contextmanager
def atomic(path: Path, resumed: bool = False) -> Generator[Path]:
    """Give a path beside `path` to write to, and rename it when the block succeeds.

    Parameters
    ----------
    path : Path
        File or folder to make; one of that name is replaced, its parents are made.
    resumed : bool
        Leave what an earlier attempt left where it is, and after an error what this one has made.

    Yields
    ------
    Path
        Where to write; nothing is there, unless it is resumed. After an error nothing is left of
        it, likewise, and what `path` was stays as it was.

    Raises
    ------
    UserError
        If the system refuses to write there: no space left, a read-only folder, a file where a
        folder should be.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not resumed:
            _remove(partial)
        try:
            yield partial
            if partial.is_dir():
                _remove(path)  # a folder can only be renamed to a name that is free
            os.replace(partial, path)
        finally:
            if not resumed:
                _remove(partial)
    except Exception as error:
        if (reason := _refusal(error, path.parent)) is None:
            raise
        raise UserError(f"{path}: cannot be written: {reason}") from None


def _refusal(error: Exception, folder: Path) -> str | None:
    """What the system says, where an error is its refusal to write in a folder.

    Polars and safetensors give its number in their texts alone.
    """
    told = re.search(r"\(os error (\d+)\)", str(error))
    number = error.errno if isinstance(error, OSError) else int(told[1]) if told else None
    file = error.filename if isinstance(error, OSError) else None
    elsewhere = file is not None and not Path(str(file)).resolve().is_relative_to(folder.resolve())
    if number not in DISK or elsewhere:
        return None
    place = number in (errno.EEXIST, errno.ENOTDIR)
    return "a file is where its folder should be" if place else os.strerror(number)


def _remove(path: Path) -> None:
    """Remove a file or folder if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
