"""Writes a file or folder that appears complete or not at all."""

import errno
import os
import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from stages.lib.io.cli import WRITE_ERRORS, UserError


@contextmanager
def atomic(path: Path, resumed: bool = False) -> Generator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` when the block succeeds.

    Parameters
    ----------
    path : Path
        File or folder to make. An existing one is replaced; missing parent folders are made.
    resumed : bool
        Keep the partial output of an earlier attempt, and after an error the partial output of
        this one.

    Yields
    ------
    Path
        Where to write. Unless `resumed`, nothing exists there, and nothing is left there after an
        error. After an error, `path` is as it was before.

    Raises
    ------
    UserError
        If the system refuses to write there: no space is left, the folder is read-only, or a file
        stands where a folder should be.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not resumed:
            _remove(partial)
        try:
            yield partial
            if partial.is_dir():
                _remove(path)  # a folder can only be renamed to an unused name
            os.replace(partial, path)
        finally:
            if not resumed:
                _remove(partial)
    except Exception as error:
        if (reason := _refusal(error, path.parent)) is None:
            raise
        raise UserError(f"{path}: cannot be written: {reason}") from None


def _refusal(error: Exception, folder: Path) -> str | None:
    """Return the system's reason if an error is its refusal to write in a folder, else None.

    Polars and safetensors give the error number only in the text of their exceptions.
    """
    number_match = re.search(r"\(os error (\d+)\)", str(error))
    number = (
        error.errno
        if isinstance(error, OSError)
        else int(number_match[1])
        if number_match
        else None
    )
    file = error.filename if isinstance(error, OSError) else None
    elsewhere = file is not None and not Path(str(file)).resolve().is_relative_to(folder.resolve())
    if number not in WRITE_ERRORS or elsewhere:
        return None
    is_blocked = number in (errno.EEXIST, errno.ENOTDIR)
    return "a file is where its folder should be" if is_blocked else os.strerror(number)


def _remove(path: Path) -> None:
    """Remove a file or folder if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
