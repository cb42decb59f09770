"""Write files whole or not at all, hash them, and parse JSON that may be damaged."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import UserError
from .temporary import Temporary

_logger = logging.getLogger(__name__)

_ADVICE = {errno.ENAMETOOLONG: "choose a shorter name", errno.EISDIR: "choose another name"}
_NOT_SUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)  # of fsync on some file systems


def sha256_of_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hex digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def atomic_path(path: str | Path, *, is_kept: bool = False) -> Iterator[Path]:
    """Yield a temporary path in the same folder, which is renamed to `path` if the block succeeds.

    The temporary file has the final suffix, by which writers choose a format. On an error `path` is not
    created or changed, and the temporary file is removed. That of a killed process is removed by the next one
    that writes into the folder.

    Args:
        is_kept: True if the file of a killed process is of use; it remains under its hidden name. Then a file
            that another process wrote to `path` meanwhile is of use too: this one is called path-2, with a
            warning.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    final = Path(path)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _check_name(final)
        temporary = Temporary(final, is_kept=is_kept)
    except OSError as error:
        raise _refusal(final, error, "choose another folder") from error
    try:
        yield temporary.path
        _synchronise(temporary.path)
        if is_kept:
            _publish_new(temporary.path, final)
        else:
            temporary.path.replace(final)
    except OSError as error:
        raise _refusal(final, error, "free space or choose another folder") from error
    finally:
        temporary.close()


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def _check_name(final: Path) -> None:
    """Raise the OSError now that would end the work when all is done."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(final.lstat().st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


def _publish_new(temporary: Path, final: Path) -> None:
    """Rename a file to `final`, or to the next name with a number that is free."""
    for number in itertools.count(1):
        path = final if number == 1 else final.with_stem(f"{final.stem}-{number}")
        try:
            rename_new(temporary, path)
        except FileExistsError:
            continue
        if number > 1:
            _logger.warning(f"{final} exists by now, of another process; this one is {path}")
        return


def rename_new(temporary: Path, path: Path) -> None:
    """Give a file its name, whole at once; raise FileExistsError if there is another of this name."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        path.touch(exist_ok=False)
        temporary.replace(path)


def _synchronise(path: Path) -> None:
    try:
        with open(path, "r+b" if os.name == "nt" else "rb") as file:  # Windows wants it writable
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise


def _refusal(final: Path, error: OSError, advice: str) -> UserError:
    advice = _ADVICE.get(error.errno or 0, advice)
    return UserError(f"cannot write {final}: {error.strerror or error}; {advice}")


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is not JSON, not UTF-8, or nested too deep.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
